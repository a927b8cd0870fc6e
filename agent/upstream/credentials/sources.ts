import type { UpstreamOptions } from '../options.ts';
import { dockerConfig } from './docker-config.ts';
import { createHelpers, type Helpers } from './helper.ts';
import { passwordFromEnv, passwordFromFile } from './password.ts';
import { podmanAuth } from './podman-auth.ts';
import type { CredentialSource, CredentialSpec, CredentialSurroundings } from './source.ts';

/** The source that the configuration names. */
function sourceOf(spec: CredentialSpec, helpers: Helpers, around: CredentialSurroundings): CredentialSource {
  switch (spec.kind) {
    case 'docker-config':
      return dockerConfig(helpers, around);
    case 'podman-auth':
      return podmanAuth(helpers, around);
    case 'password-file':
      return passwordFromFile(spec.username, spec.passwordFile);
    case 'password-env':
      return passwordFromEnv(spec.username, spec.passwordEnv, around);
  }
}

/**
 * The sources of all registries that have one, by the registry's name.
 * @param stopped ends what they run
 */
export function sourcesOf(
  { registries, around }: Pick<UpstreamOptions, 'registries' | 'around'>,
  stopped: AbortSignal,
): ReadonlyMap<string, CredentialSource> {
  const helpers = createHelpers({ env: around.env, stopped });
  return new Map(
    Object.entries(registries).flatMap(([name, { credentials }]) =>
      credentials ? [[name, sourceOf(credentials, helpers, around)] as const] : [],
    ),
  );
}
