import type { Dispatcher } from 'undici';
import { AgentError } from '../errors.ts';
import { repositoryText } from '../oci/reference.ts';
import { basicHeader } from './basic.ts';
import type { Endpoint } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import { realmUrl } from './realm.ts';
import { type Refusals, refusedError } from './refusals.ts';
import { readWhole } from './stall.ts';
import { type FetchToken, parseToken, type TokenQuery } from './token.ts';
import type { Hop, Transport } from './transport.ts';

/** No registry's token is near this. Bytes. */
const MAX_TOKEN_BODY = 64 * 1024;

/** What this client calls itself where it must (OAuth 2). */
const CLIENT_ID = 'layerlan';

/**
 * Tokens as distribution's token authentication has them: by GET, anonymously or with Basic and the account's name; and,
 * for an identity token, by POST ("OAuth 2 token authentication"). A redirect is not followed: it would lead around the
 * check of the realm.
 *
 * Throws AgentError UPSTREAM_DENIED, UPSTREAM_RATE_LIMITED or UPSTREAM_FAILED by the answer, and what the exchange throws.
 * @param transportTo the connections a host may be reached by
 */
export function createFetchToken(
  exchange: Exchange,
  transportTo: (endpoint: Endpoint, url: URL) => Transport,
  refusals: Refusals,
  stallTimeout: number,
): FetchToken {
  return async (query, signal) => {
    const { endpoint, repository, credential } = query;
    const hop = tokenHop(query);
    const { host } = hop.url;
    if (credential !== undefined) {
      const one = { endpoint, credential };
      const left = Math.max(refusals.remaining(one), refusals.remaining({ ...one, repository: repository.name }));
      if (left > 0) throw refusedError(host, repository, left);
    }
    const answer = await exchange(transportTo(endpoint, hop.url), hop, [], signal);
    const body = await readWhole(answer.body, MAX_TOKEN_BODY, stallTimeout, host);
    const { statusCode: status } = answer;
    if (isRefusal(hop, answer)) {
      if (credential === undefined) {
        throw new AgentError('UPSTREAM_DENIED', `${host} gives no anonymous token for ${repositoryText(repository)}`);
      }
      // A 403 may be of this repository alone; who says 401, or 400 to an identity token, does not know the credential.
      refusals.note(status === 403 ? { endpoint, credential, repository: repository.name } : { endpoint, credential });
      throw refusedError(host, repository, 0);
    }
    if (status === 429) throw new AgentError('UPSTREAM_RATE_LIMITED', `${host} limits the rate of tokens`);
    const token = status === 200 ? parseToken(body, Date.now()) : undefined;
    if (token === undefined) throw new AgentError('UPSTREAM_FAILED', `${host} answered ${status} and no token`);
    return token;
  };
}

function isRefusal({ method }: Hop, { statusCode }: Dispatcher.ResponseData): boolean {
  // RFC 6749 §5.2: an identity token that ended is an invalid_grant, told by 400.
  return statusCode === 401 || statusCode === 403 || (method === 'POST' && statusCode === 400);
}

function tokenHop({ endpoint, repository, challenge, credential }: TokenQuery): Hop {
  const url = realmUrl(challenge.realm, endpoint);
  const scopes = (challenge.scope ?? `repository:${repository.name}:pull`).split(' ').filter(Boolean);
  const headers = { accept: 'application/json', 'accept-encoding': 'identity' };
  const secret = credential?.secret;
  if (secret?.kind === 'identity-token') {
    const form = new URLSearchParams({ scope: scopes.join(' ') });
    if (challenge.service !== undefined) form.set('service', challenge.service);
    form.set('client_id', CLIENT_ID);
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', secret.token);
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    return { url, method: 'POST', headers: { ...headers, ...type }, body: form.toString(), lane: 'short' };
  }
  if (challenge.service !== undefined) url.searchParams.set('service', challenge.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (secret === undefined) return { url, method: 'GET', headers, lane: 'short' };
  url.searchParams.set('account', secret.username);
  return { url, method: 'GET', headers: { ...headers, authorization: basicHeader(secret) }, lane: 'short' };
}
