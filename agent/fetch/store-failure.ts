import { type AgentError, isAgentError } from '../errors.ts';

/** Whether the store is why something failed, full or broken: then a pull goes on without it. */
export function isStoreFailure(error: unknown): error is AgentError {
  return isAgentError(error, 'STORE_FULL', 'STORE_FAILING');
}
