import { join } from 'node:path';
import { type AuthFile, credentialOfEntry, readAuthFile } from './auths.ts';
import type { Helpers } from './helper.ts';
import {
  type Credential,
  type CredentialSource,
  type CredentialSurroundings,
  firstOf,
  HUB_NAMES,
  unusable,
} from './source.ts';

const WHAT = 'podman’s credentials';

/**
 * What `podman login` has kept (containers-auth.json(5)): `$REGISTRY_AUTH_FILE` alone where it is set, else the file of
 * the session, else that of the home directory. A key may be a registry or a namespace in it; the longest that fits
 * wins. A registry's helper comes before what stands in the file.
 */
export function podmanAuth(helpers: Helpers, around: CredentialSurroundings): CredentialSource {
  return {
    async find({ servers, repository, refused }, signal) {
      const paths = pathsOf(around);
      for (const path of paths) {
        const file = await readAuthFile(path, WHAT);
        if (file === undefined) continue;
        const credential = await firstOf(servers, async (server) => {
          const helper = file.credHelpers.get(nameOf(server));
          if (!helper) return storedFor(file, nameOf(server), repository);
          return helpers.get(helper, nameOf(server), { refused }, signal);
        });
        if (credential !== undefined) return credential;
      }
      throw unusable(`${WHAT} (${paths.join(', ')}) do not exist, or hold none for ${servers[0]}`);
    },
  };
}

function pathsOf({ env, home, uid }: CredentialSurroundings): string[] {
  if (env.REGISTRY_AUTH_FILE) return [env.REGISTRY_AUTH_FILE];
  // Without a session, as in a service, podman makes a directory by the user's number.
  const session = env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, 'containers') : `/run/containers/${uid}`;
  const config = env.XDG_CONFIG_HOME || join(home, '.config');
  return [join(session, 'auth.json'), join(config, 'containers', 'auth.json')];
}

function storedFor(file: AuthFile, server: string, repository: string): Credential | undefined {
  const named = new Map([...file.auths].map(([key, entry]) => [nameOf(key), { key, entry }]));
  const parts = repository.split('/');
  for (let length = parts.length; length >= 0; length--) {
    const found = named.get([server, ...parts.slice(0, length)].join('/'));
    const credential = found && credentialOfEntry(found.entry, `${WHAT} ${file.path}, ${found.key},`);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

/** A key as podman writes it: `quay.io/group`. Docker's, which it reads too, are URLs; Docker Hub has several names. */
function nameOf(key: string): string {
  const bare = /^https?:\/\//.test(key) ? key.replace(/^https?:\/\//, '').replace(/\/.*$/, '') : key;
  const [host = '', ...namespace] = bare.split('/');
  return [HUB_NAMES.includes(host) ? 'docker.io' : host, ...namespace].join('/');
}
