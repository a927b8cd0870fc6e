import { isIP } from 'node:net';
import { AgentError } from '../errors.ts';
import type { Endpoint } from './endpoint.ts';

/** Labels that two hosts must share at the end to count as one owner's: `registry-1.docker.io`, `auth.docker.io`. */
const SHARED_LABELS = 2;

/** Under a country's two letters these are no owner's name: `example.co.uk` and `evil.co.uk` are strangers. */
const COUNTRY_SECOND_LEVEL = new Set(
  'ac ad ath co com ed edu gen go gob gouv gov govt gv id idv ind inf info int lg ltd me mil muni ne net nhs nic nom or org plc police pp pro sch school web'.split(
    ' ',
  ),
);

/** Domains that give a label each to many owners: what lies below is one owner's only where the host is the same. */
const SHARED_DOMAINS = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'api.aws',
  'on.aws',
  'azurecr.cn',
  'azurecr.io',
  'azurecr.us',
  'azurewebsites.net',
  'cloudapp.net',
  'cloudapp.azure.com',
  'windows.net',
  'pkg.dev',
  'run.app',
  'appspot.com',
  'cloudfunctions.net',
  'github.io',
  'githubusercontent.com',
  'gitlab.io',
  'jfrog.io',
  'cloudsmith.io',
  'oraclecloud.com',
  'ocir.io',
  'aliyuncs.com',
  'myhuaweicloud.com',
  'tencentcloudcr.com',
  'digitaloceanspaces.com',
  'ondigitalocean.app',
  'herokuapp.com',
  'fly.dev',
  'vercel.app',
  'netlify.app',
  'pages.dev',
  'workers.dev',
  'trycloudflare.com',
  'ngrok.io',
  'ngrok.app',
  'ngrok.dev',
  'ngrok-free.app',
  'duckdns.org',
  'dyndns.org',
  'no-ip.org',
  'nip.io',
  'sslip.io',
  'ts.net',
];

/**
 * The realm's URL, where a registry may send us to it: its own host, or one of the same owner, and not from TLS to plain
 * text. Else a registry, or whoever speaks in its place, could have us show our credentials anywhere (CVE-2026-33540 in
 * distribution). The same holds without credentials, so that what is refused does not hang on what is configured.
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

/**
 * Whether two hosts are surely one owner's: the same, or both at or under a domain of two labels or more that is not
 * known to be shared by strangers. The public suffix list would say it better, has ten thousand lines and changes each
 * week; an error here needs a registry that is already trusted with the credentials to send them to a stranger under
 * its own domain.
 */
export function isSameOwner(one: string, other: string): boolean {
  if (one === other) return true;
  // The last two numbers of an address say nothing of its owner; the URL parser keeps IPv6 in brackets.
  if (isIP(one) !== 0 || isIP(other) !== 0 || one.startsWith('[') || other.startsWith('[')) return false;
  const shared = sharedLabels(one, other);
  if (shared.length < SHARED_LABELS) return false;
  const parent = shared.join('.');
  if (SHARED_DOMAINS.some((domain) => parent === domain || parent.endsWith(`.${domain}`))) return false;
  const [second = '', country = ''] = shared;
  return !(shared.length === SHARED_LABELS && country.length === 2 && COUNTRY_SECOND_LEVEL.has(second));
}

/** The labels at the end that both hosts have, in their order. */
function sharedLabels(one: string, other: string): string[] {
  const [ours, theirs] = [one, other].map((host) => host.split('.').reverse()) as [string[], string[]];
  const end = ours.findIndex((label, index) => label === '' || label !== theirs[index]);
  return ours.slice(0, end === -1 ? ours.length : end).reverse();
}
