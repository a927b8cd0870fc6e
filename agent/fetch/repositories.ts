import { isAgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';

/**
 * A repository has failed: where it does not have the blob, or does not give it to this agent, it gives way to the next
 * one. True where there is another to ask.
 */
export function givesWay(repositories: Repository[], asked: Repository, error: unknown): boolean {
  if (!isAgentError(error, 'BLOB_UNKNOWN', 'UPSTREAM_DENIED')) return false;
  // Two may ask it at a time, and the second to hear of it must not pass over the next one, which nobody has asked.
  if (repositories[0] !== asked) return true;
  if (repositories.length === 1) return false;
  repositories.shift();
  return true;
}
