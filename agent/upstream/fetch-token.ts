import { AgentError } from '../errors.ts';
import { repositoryText } from '../oci/reference.ts';
import type { Endpoint } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import { realmUrl } from './realm.ts';
import { readWhole } from './stall.ts';
import { type FetchToken, parseToken } from './token.ts';
import type { Transport } from './transport.ts';

/** No registry's token is near this. Bytes. */
const MAX_TOKEN_BODY = 64 * 1024;

/**
 * Anonymous tokens by GET (distribution's token authentication, "Requesting a token"). A redirect is not followed: it
 * would lead around the check of the realm.
 *
 * Throws AgentError UPSTREAM_DENIED, UPSTREAM_RATE_LIMITED or UPSTREAM_FAILED by the answer, and what the exchange throws.
 * @param transportTo the connections a host may be reached by
 */
export function createFetchToken(
  exchange: Exchange,
  transportTo: (endpoint: Endpoint, url: URL) => Transport,
  stallTimeout: number,
): FetchToken {
  return async (endpoint, repository, challenge, signal) => {
    const url = realmUrl(challenge.realm, endpoint);
    if (challenge.service !== undefined) url.searchParams.set('service', challenge.service);
    const scope = challenge.scope ?? `repository:${repository.name}:pull`;
    for (const one of scope.split(' ').filter(Boolean)) url.searchParams.append('scope', one);
    const headers = { accept: 'application/json', 'accept-encoding': 'identity' };
    const hop = { url, method: 'GET', headers, lane: 'short' } as const;
    const answer = await exchange(transportTo(endpoint, url), hop, [], signal);
    const body = await readWhole(answer.body, MAX_TOKEN_BODY, stallTimeout, url.host);
    const { statusCode: status } = answer;
    if (status === 401 || status === 403) {
      throw new AgentError('UPSTREAM_DENIED', `${url.host} gives no anonymous token for ${repositoryText(repository)}`);
    }
    if (status === 429) throw new AgentError('UPSTREAM_RATE_LIMITED', `${url.host} limits the rate of tokens`);
    const token = status === 200 ? parseToken(body, Date.now()) : undefined;
    if (token === undefined) {
      throw new AgentError('UPSTREAM_FAILED', `${url.host} answered ${status} and no token`);
    }
    return token;
  };
}
