import type { Dispatcher } from 'undici';
import { AgentError } from '../errors.ts';

/** Hops of one request, beyond the first. */
export const MAX_REDIRECTS = 10;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/**
 * Where an answer sends us. The address may hold a signature: it is for the next request and for no log.
 * @param isVerified whether a digest decides in the end what the bytes are worth: then TLS may be left
 * @throws AgentError UPSTREAM_FAILED where that is nowhere we would go
 */
export function redirectUrl(answer: Dispatcher.ResponseData, from: URL, isVerified: boolean): URL {
  const { location } = answer.headers;
  const url = typeof location === 'string' ? URL.parse(location, from) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:') || url.username || url.password) {
    throw new AgentError('UPSTREAM_FAILED', `${from.host} redirects to something that is no address`);
  }
  if (from.protocol === 'https:' && url.protocol === 'http:' && !isVerified) {
    throw new AgentError('UPSTREAM_FAILED', `${from.host} redirects to ${url.host} without TLS: refused`);
  }
  return url;
}
