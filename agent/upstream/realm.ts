import { isIP } from 'node:net';
import { AgentError } from '../errors.ts';
import type { Endpoint } from './endpoint.ts';

/** Labels that two hosts must share at the end to count as one owner's: `registry-1.docker.io`, `auth.docker.io`. */
const SHARED_LABELS = 2;

/**
 * The realm's URL, where a registry may send us to it: its own host, or one under the same last two labels, and not
 * from TLS to plain text. Else a registry could point us, and later credentials, anywhere (CVE-2026-33540 in
 * distribution). Names are not looked up in the public suffix list: what such a realm can get is an anonymous GET.
 * @throws AgentError UPSTREAM_FAILED
 */
export function realmUrl(realm: string, endpoint: Endpoint): URL {
  const url = URL.parse(realm);
  const registry = new URL(endpoint.origin);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:') || url.username || url.password) {
    throw new AgentError('UPSTREAM_FAILED', `${registry.host} sends for tokens to something that is no URL`);
  }
  if (url.protocol === 'http:' && registry.protocol === 'https:') {
    throw new AgentError('UPSTREAM_FAILED', `${registry.host} sends for tokens to ${url.host} without TLS: refused`);
  }
  if (!isSameOwner(url.hostname, registry.hostname)) {
    throw new AgentError(
      'UPSTREAM_FAILED',
      `${registry.host} sends for tokens to ${url.host}, another domain: refused`,
    );
  }
  return url;
}

function isSameOwner(one: string, other: string): boolean {
  if (one === other) return true;
  // The last two numbers of an address say nothing of its owner; the URL parser keeps IPv6 in brackets.
  if (isIP(one) !== 0 || isIP(other) !== 0 || one.startsWith('[') || other.startsWith('[')) return false;
  const [ours, theirs] = [one, other].map((host) => host.split('.').slice(-SHARED_LABELS));
  return ours?.length === SHARED_LABELS && ours.join('.') === theirs?.join('.');
}
