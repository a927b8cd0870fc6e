import type { Logger } from 'pino';
import { AgentError, isAgentError } from '../errors.ts';
import type { AskEndpoint } from './ask-endpoint.ts';
import { type Endpoint, endpointsOf, resourceText } from './endpoint.ts';
import { isCostly } from './failure.ts';
import type { RegistryEndpoints } from './options.ts';
import type { Preference } from './preference.ts';
import type { Ask } from './question.ts';

/**
 * Fail-over between a registry's endpoints, and back. What is thrown in the end is the error of the endpoint that is
 * last by configuration, since that is by custom the registry itself and those before it are mirrors.
 */
export function createAsk(
  askEndpoint: AskEndpoint,
  preference: Preference,
  registries: Readonly<Record<string, RegistryEndpoints>>,
  logger: Logger,
): Ask {
  return async (question, signal) => {
    const endpoints = endpointsOf(question.repository, registries);
    const order = preference.order(rotated(endpoints, question.skip ?? 0), performance.now());
    const what = resourceText(question.repository, question.resource);
    let failure: { readonly rank: number; readonly error: AgentError } | undefined;
    for (const [index, endpoint] of order.entries()) {
      const { origin } = endpoint;
      const rank = endpoints.indexOf(endpoint);
      // The registry has said no: its mirror, which is away, need not be waited for.
      const isOutranked = failure !== undefined && isFinal(failure.error) && rank < failure.rank;
      if (isOutranked && preference.isAvoided(origin, performance.now())) continue;
      try {
        const answer = await askEndpoint(endpoint, question, order.slice(index + 1), signal);
        preference.reached(origin);
        return answer;
      } catch (error) {
        // The question's time has run out here: the next begins elsewhere.
        if (isAgentError(signal.reason, 'UPSTREAM_STALLED')) preference.lost(origin, performance.now());
        signal.throwIfAborted();
        if (!isAgentError(error)) throw error;
        if (isCostly(error)) preference.lost(origin, performance.now());
        else if (isFinal(error)) preference.reached(origin);
        if (failure === undefined || rank > failure.rank) failure = { rank, error };
        if (index + 1 < order.length) {
          logger.info({ endpoint: origin, what, code: error.code }, 'asking the next endpoint');
        }
      }
    }
    throw failure?.error ?? new AgentError('UPSTREAM_FAILED', `${what}: its registry has no endpoints`);
  };
}

/** Whether it is the endpoint's answer, and no failure to give one. */
function isFinal(error: AgentError): boolean {
  return isAgentError(error, 'UPSTREAM_DENIED', 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN');
}

function rotated(endpoints: readonly Endpoint[], by: number): readonly Endpoint[] {
  const start = by % endpoints.length;
  return [...endpoints.slice(start), ...endpoints.slice(0, start)];
}
