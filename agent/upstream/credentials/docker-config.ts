import { join } from 'node:path';
import { type AuthFile, credentialOfEntry, readAuthFile } from './auths.ts';
import type { Helpers } from './helper.ts';
import { type CredentialSource, type CredentialSurroundings, firstOf, HUB_KEY, HUB_NAMES, unusable } from './source.ts';

const WHAT = 'Docker’s configuration';

/**
 * What `docker login` has kept: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. As with Docker, a
 * registry's own helper comes before the store for all, and the store before what stands in the file: where a store is
 * set, the file's entries are its empty shells.
 */
export function dockerConfig(helpers: Helpers, { env, home }: CredentialSurroundings): CredentialSource {
  return {
    async find({ servers, refused }, signal) {
      const path = join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json');
      const file = await readAuthFile(path, WHAT);
      if (file === undefined) throw unusable(`${WHAT} ${path} does not exist`);
      const credential = await firstOf(servers, async (server) => {
        const keys = keysOf(server);
        const helper = keys.map((key) => file.credHelpers.get(key)).find(Boolean) ?? file.credsStore;
        return helper === '' ? storedFor(file, keys) : helpers.get(helper, keys[0], { refused }, signal);
      });
      if (credential !== undefined) return credential;
      throw unusable(`${WHAT} ${path} has no credentials for ${servers[0]}`);
    },
  };
}

/** What Docker, and people, write for a registry. The first is what a helper is asked for. */
function keysOf(server: string): [string, ...string[]] {
  return HUB_NAMES.includes(server) ? [HUB_KEY, ...HUB_NAMES] : [server];
}

function storedFor(file: AuthFile, keys: readonly string[]) {
  for (const key of [...keys, ...aliases(file, keys)]) {
    const entry = file.auths.get(key);
    const credential = entry && credentialOfEntry(entry, `${WHAT} ${file.path}, ${key},`);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

/** Keys of old logins are URLs: `https://registry.lan/v1/`. */
function aliases(file: AuthFile, keys: readonly string[]): string[] {
  return [...file.auths.keys()].filter((key) => keys.includes(key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')));
}
