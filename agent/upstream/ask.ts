import type { Logger } from 'pino';
import type { Dispatcher } from 'undici';
import { AgentError, isAgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import type { AskEndpoint } from './ask-endpoint.ts';
import { type Endpoint, endpointsOf, type Resource, resourceText } from './endpoint.ts';
import type { RegistryEndpoints } from './options.ts';
import type { Lane } from './transport.ts';

/** What is asked of a registry. */
export interface Question {
  readonly repository: Repository;
  readonly resource: Resource;
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  readonly lane: Lane;
  /** How many endpoints to begin further down: one whose bodies keep breaking is not always asked first. */
  readonly skip?: number;
}

/** An answer with content, and the host it came from. */
export interface Answer extends Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'> {
  readonly host: string;
  /** Whether it was given to whoever has the configured credentials, and so perhaps to nobody else. */
  readonly withCredentials: boolean;
}

/** Asks one endpoint after the other until one has an answer of 200, 206 or 416. */
export type Ask = (question: Question, signal: AbortSignal) => Promise<Answer>;

/**
 * Fail-over between a registry's endpoints. What is thrown in the end is the last endpoint's error, since the last is
 * by custom the registry itself and those before it are mirrors.
 */
export function createAsk(
  askEndpoint: AskEndpoint,
  registries: Readonly<Record<string, RegistryEndpoints>>,
  logger: Logger,
): Ask {
  return async (question, signal) => {
    const endpoints = endpointsOf(question.repository, registries);
    const order = rotated(endpoints, question.skip ?? 0);
    for (const [index, endpoint] of order.entries()) {
      const fallbacks = order.slice(index + 1);
      try {
        return await askEndpoint(endpoint, question, fallbacks, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (fallbacks.length === 0 || !isAgentError(error)) throw error;
        const what = resourceText(question.repository, question.resource);
        logger.info({ endpoint: endpoint.origin, what, code: error.code }, 'asking the next endpoint');
      }
    }
    throw new AgentError('UPSTREAM_FAILED', `registry ${question.repository.registry} has no endpoints`);
  };
}

function rotated(endpoints: readonly Endpoint[], by: number): readonly Endpoint[] {
  const start = by % endpoints.length;
  return [...endpoints.slice(start), ...endpoints.slice(0, start)];
}
