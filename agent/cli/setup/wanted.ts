import { addressText, homeAddress } from '../../address.ts';
import type { Config } from '../../config/load.ts';
import { AgentError } from '../../errors.ts';
import { canonicalRegistry, DEFAULT_REGISTRY, isRegistry } from '../../oci/reference.ts';
import type { MirroredRegistry, Wanted } from './plan.ts';

/** Docker Hub's registry is not at the name that its images go by. */
const DOCKER_HUB = 'https://registry-1.docker.io';

/**
 * What clients of the agent with this configuration are to be told.
 * @param names the registries that are meant; those of the configuration where there are none
 * @throws AgentError CONFIG_INVALID
 */
export function wantedOf(config: Config, names: readonly string[] = []): Pick<Wanted, 'mirror' | 'registries'> {
  const address = homeAddress(config.mirror.listen);
  if (address.port === 0) {
    throw new AgentError(
      'CONFIG_INVALID',
      'mirror.listen has port 0, another at each start: no client can be told it.',
    );
  }
  const wrong = names.find((name) => !isRegistry(name));
  if (wrong !== undefined) {
    throw new AgentError('CONFIG_INVALID', `--registry must be a host name such as ghcr.io, not "${wrong}".`);
  }
  const chosen = names.length > 0 ? names.map(canonicalRegistry) : [...config.registries.keys()];
  const unique = [...new Set(chosen)].filter(isRegistry);
  return { mirror: addressText(address), registries: unique.map((name) => mirrored(name, config)) };
}

/** Of several endpoints the last is by custom the registry itself, and those before it are mirrors. */
function mirrored(name: string, config: Config): MirroredRegistry {
  const own = name === DEFAULT_REGISTRY ? DOCKER_HUB : `https://${name}`;
  return { name, server: config.registries.get(name)?.endpoints.at(-1) ?? own };
}
