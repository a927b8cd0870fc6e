import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { type AgentError, briefly, isAgentError } from '../../errors.ts';
import type { Repository } from '../../oci/reference.ts';
import type { Endpoint } from '../endpoint.ts';
import { isSameOwner } from '../realm.ts';
import type { Credential, CredentialSource } from './source.ts';

/** The same complaint about a registry's credentials is made once in so long. Milliseconds. */
const COMPLAINT = 60_000;

/** Registries complained of at once. */
const MAX_COMPLAINTS = 256;

/** What there is to show a registry, or why there is nothing. */
export interface Found {
  /** Undefined where none are configured, or those that are cannot be used. */
  readonly credential: Credential | undefined;
  /** Why those that are configured cannot be used. */
  readonly problem: AgentError | undefined;
}

const NONE: Found = { credential: undefined, problem: undefined };

/** Finds the credentials for what is about to be asked. */
export type Lookup = (
  endpoint: Endpoint,
  repository: Repository,
  refused: Credential | undefined,
  signal: AbortSignal,
) => Promise<Found>;

/**
 * Credentials that cannot be used do not end a pull: the registry is asked anonymously, as it is with none configured.
 * Most images are public, and a secret that is late or lost must not make them worse to pull; what is private the
 * registry refuses, and then the reason is told with the refusal. It is logged in any case.
 * @param sources by the registry's name
 */
export function createLookup(sources: ReadonlyMap<string, CredentialSource>, logger: Logger): Lookup {
  const complaints = new LRUCache<string, string>({ max: MAX_COMPLAINTS, ttl: COMPLAINT });
  return async (endpoint, repository, refused, signal) => {
    const source = sources.get(repository.registry);
    if (source === undefined) return NONE;
    try {
      const servers = serversOf(endpoint, repository.registry);
      return {
        credential: await source.find({ servers, repository: repository.name, refused }, signal),
        problem: undefined,
      };
    } catch (error) {
      signal.throwIfAborted();
      if (!isAgentError(error, 'CREDENTIALS_UNUSABLE')) throw error;
      if (complaints.get(repository.registry) !== error.message) {
        complaints.set(repository.registry, error.message);
        logger.warn({ registry: repository.registry, ...briefly(error) }, 'asking without credentials');
      }
      return { credential: undefined, problem: error };
    }
  };
}

/**
 * The names under which files of logins are looked into: the endpoint's own, as whoever logs in there writes it; and the
 * registry's, but only for an endpoint of the same owner. Else a mirror of docker.io that stands before the Hub would
 * be shown the Hub's password.
 */
function serversOf(endpoint: Endpoint, registry: string): string[] {
  const { host, hostname } = new URL(endpoint.origin);
  const own = URL.parse(`https://${registry}`)?.hostname ?? '';
  return host !== registry && isSameOwner(hostname, own) ? [host, registry] : [host];
}
