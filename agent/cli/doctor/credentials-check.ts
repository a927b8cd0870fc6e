import { homedir } from 'node:os';
import { pino } from 'pino';
import { createLookup } from '../../upstream/credentials/lookup.ts';
import { sourcesOf } from '../../upstream/credentials/sources.ts';
import { endpointsOf } from '../../upstream/endpoint.ts';
import type { RegistryEndpoints } from '../../upstream/options.ts';
import { printable } from '../printable.ts';
import { type Finding, ok, warn } from './finding.ts';

/** A repository for which podman keeps no login of its own. */
const ANY_REPOSITORY = 'any';

/** Longer than a helper has. Milliseconds. */
const PATIENCE = 15_000;

/**
 * Whether there is something to show each registry that has `credentials`, looked for as the agent does. It is not
 * shown to anybody: only a pull can tell whether it is right, and registries count wrong ones.
 */
export async function checkCredentials(
  registries: Readonly<Record<string, RegistryEndpoints>>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const around = { env, home: env.HOME || homedir(), uid: process.getuid?.() ?? 0 };
  const signal = AbortSignal.timeout(PATIENCE);
  const lookup = createLookup(sourcesOf({ registries, around }, signal), pino({ level: 'silent' }));
  const named = Object.entries(registries).filter(([, { credentials }]) => credentials);
  return Promise.all(
    named.map(async ([registry]) => {
      const name = `credentials ${registry}`;
      const repository = { registry, name: ANY_REPOSITORY };
      const asked = endpointsOf(repository, registries).map((endpoint) =>
        lookup(endpoint, repository, undefined, signal),
      );
      const found = await Promise.all(asked);
      // A mirror before the registry may go without a login.
      if (found.some(({ credential }) => credential !== undefined))
        return ok(name, 'found; a pull shows if they are right');
      const why = found.map(({ problem }) => problem?.message).find(Boolean) ?? 'not found';
      return warn(
        name,
        printable(why),
        'put it right, and ask again as the user and with the environment of the agent',
      );
    }),
  );
}
