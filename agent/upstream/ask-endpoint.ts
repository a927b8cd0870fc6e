import { AgentError, isAgentError } from '../errors.ts';
import type { Authorization, Authorizer } from './authorizer.ts';
import { discard } from './discard.ts';
import { type Endpoint, resourceText, resourceUrl } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import { isBroken } from './failure.ts';
import { pause } from './pause.ts';
import type { Answer, Question } from './question.ts';
import type { RateLimits } from './rate-limit.ts';
import { isRedirect, MAX_REDIRECTS, redirectUrl } from './redirect.ts';
import { retryAfter } from './retry-after.ts';
import type { Transport } from './transport.ts';

/** Another try after a 5xx or a connection that broke under the request, so many times. */
const MAX_FAILURES = 2;

/** Before the first of those tries; the next waits twice as long. Milliseconds. */
const FAILURE_PAUSE = 100;

/** Challenges met: the first has no token or an old one; a second, after a fresh token, is met with one more. */
const MAX_CHALLENGES = 2;

/** How often a registry is asked for a new signed URL when storage refuses the one it gave. */
const MAX_SIGNATURES = 2;

/** A longer Retry-After is for the client to wait: ours waits for headers no longer than 30 s. Milliseconds. */
const MAX_RATE_PAUSE = 5000;
const MAX_RATE_PAUSES = 2;

/** What a 404 says, by what was asked for. */
const UNKNOWN = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  tags: 'NAME_UNKNOWN',
  referrers: 'MANIFEST_UNKNOWN',
} as const;

export type AskEndpoint = (
  endpoint: Endpoint,
  question: Question,
  fallbacks: readonly Endpoint[],
  signal: AbortSignal,
) => Promise<Answer>;

/** What an endpoint is asked with. */
export interface AskComponents {
  readonly exchange: Exchange;
  readonly authorizer: Authorizer;
  readonly rates: Pick<RateLimits, 'heard'>;
  /** The connections a host may be reached by. */
  readonly transportTo: (endpoint: Endpoint, url: URL) => Transport;
}

/**
 * Asks one endpoint: with a token or a password where it wants one, along its redirects, again where that may help soon.
 *
 * Throws AgentError UPSTREAM_DENIED, UPSTREAM_RATE_LIMITED, UPSTREAM_FAILED, MANIFEST_UNKNOWN, NAME_UNKNOWN or
 * BLOB_UNKNOWN by the answer's status, and what the exchange and the tokens throw.
 */
export function createAskEndpoint({ exchange, authorizer, rates, transportTo }: AskComponents): AskEndpoint {
  const follow = async (
    endpoint: Endpoint,
    question: Question,
    authorization: Authorization | undefined,
    fallbacks: readonly string[],
    signal: AbortSignal,
  ): Promise<Answer & { readonly origin: string }> => {
    const { method, lane, headers } = question;
    let url = resourceUrl(endpoint, question.repository, question.resource);
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const isHome = url.origin === endpoint.origin;
      // Authorization never leaves the endpoint's own origin: storage would refuse it, or keep it.
      const isAuthorized = authorization !== undefined && isHome;
      const authorized = isAuthorized ? { ...headers, authorization: authorization.header } : headers;
      const hop = { url, method, lane, headers: authorized };
      const answer = await exchange(transportTo(endpoint, url), hop, isHome ? fallbacks : [], signal);
      if (isHome) rates.heard(question.repository.registry, answer.headers);
      if (!isRedirect(answer.statusCode)) {
        const { statusCode, headers: answered, body } = answer;
        // Whatever storage gives for an address that was given for credentials came with them too.
        const withCredentials = authorization?.credential !== undefined;
        return { statusCode, headers: answered, body, host: url.host, origin: url.origin, withCredentials };
      }
      await discard(answer);
      url = redirectUrl(answer, url, question.resource.kind === 'blob');
    }
    throw new AgentError('UPSTREAM_FAILED', `${new URL(endpoint.origin).host} redirects in circles`);
  };

  return async (endpoint, question, fallbacks, signal) => {
    const { repository, resource } = question;
    const what = resourceText(repository, resource);
    const origins = fallbacks.map(({ origin }) => origin);
    let authorization = await authorizer.current(endpoint, repository, signal);
    let challenge: { readonly headers: string | string[] | undefined } | undefined;
    let isReplaced = false;
    let failures = 0;
    let challenges = 0;
    let signatures = 1;
    let pauses = 0;
    for (;;) {
      let answer: Awaited<ReturnType<typeof follow>>;
      try {
        if (challenge !== undefined) {
          const refused = authorization;
          authorization = await authorizer.meet(endpoint, repository, challenge.headers, refused, signal);
          challenge = undefined;
          if (authorization === undefined) throw await authorizer.denied(endpoint, repository, what, refused, signal);
        }
        answer = await follow(endpoint, question, authorization, origins, signal);
      } catch (error) {
        if (!isAgentError(error) || !isBroken(error) || failures >= MAX_FAILURES) throw error;
        await pause(FAILURE_PAUSE * 2 ** failures++, signal);
        continue;
      }
      const { statusCode: status, headers, host } = answer;
      if (status === 200 || status === 206 || status === 416) return answer;
      await discard(answer);
      const isHome = answer.origin === endpoint.origin;
      if (status === 401 && isHome) {
        if (challenges++ >= MAX_CHALLENGES) {
          throw await authorizer.denied(endpoint, repository, what, authorization, signal);
        }
        challenge = { headers: headers['www-authenticate'] };
      } else if (!isHome && (status === 400 || status === 401 || status === 403) && signatures < MAX_SIGNATURES) {
        // A signed URL that has expired on the way.
        signatures++;
      } else if (status === 401 || status === 403) {
        const other =
          authorization !== undefined && isHome && !isReplaced
            ? await authorizer.replace(endpoint, repository, authorization, signal)
            : undefined;
        if (other === undefined) throw await authorizer.denied(endpoint, repository, what, authorization, signal);
        authorization = other;
        isReplaced = true;
      } else if (status === 404 || status === 410) {
        throw new AgentError(UNKNOWN[resource.kind], `${host} has no ${what}`);
      } else if (status === 429) {
        const wait = retryAfter(headers['retry-after']?.toString(), Date.now());
        if (wait === undefined || wait > MAX_RATE_PAUSE || pauses++ >= MAX_RATE_PAUSES) {
          throw new AgentError('UPSTREAM_RATE_LIMITED', `${host} limits our rate; asked for ${what}`);
        }
        await pause(wait, signal);
      } else if (status >= 500 && failures < MAX_FAILURES) {
        await pause(FAILURE_PAUSE * 2 ** failures++, signal);
      } else {
        throw new AgentError('UPSTREAM_FAILED', `${host} answered ${status} when asked for ${what}`);
      }
    }
  };
}
