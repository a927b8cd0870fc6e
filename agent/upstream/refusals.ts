import { LRUCache } from 'lru-cache';
import { AgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import type { Credential } from './credentials/source.ts';
import type { Endpoint } from './endpoint.ts';

/** After the first refusal of credentials as such; each further one doubles it. Milliseconds. */
const FIRST = 10_000;
const MOST = 300_000;

/**
 * After each refusal of one repository. Enough that the requests of one pull show the credentials once, and no more: a
 * right that was just granted must count at the next try. Milliseconds.
 */
const REPOSITORY = 2_000;

/** Credentials kept in mind. */
const MAX_REFUSALS = 256;

/** What was refused, and where. */
export interface Refused {
  readonly endpoint: Endpoint;
  readonly credential: Credential;
  /** The one repository it was refused for; undefined where it was for all. */
  readonly repository?: string;
}

/**
 * Credentials that a registry refused a moment ago. They are not shown again at once: registries lock accounts, and
 * bar addresses, after a few wrong passwords, and a host pulls many layers. A changed secret is another credential,
 * and is tried at once. Where only one repository was refused the credentials may be good: then it is a moment.
 */
export interface Refusals {
  note(refused: Refused): void;
  /** How long it is still left alone. Milliseconds; 0 where it may be tried. */
  remaining(refused: Refused): number;
}

/** @param now milliseconds, never going back */
export function createRefusals(now: () => number = () => performance.now()): Refusals {
  const rows = new LRUCache<string, { until: number; pause: number }>({ max: MAX_REFUSALS });
  const keyOf = ({ endpoint, credential, repository }: Refused): string =>
    `${endpoint.origin}${endpoint.prefix} ${credential.id} ${repository ?? ''}`;
  return {
    note(refused) {
      const key = keyOf(refused);
      const before = rows.get(key);
      // Requests that were under way together are one refusal.
      if (before !== undefined && now() < before.until) return;
      // What went well for long begins anew.
      const isRow = before !== undefined && now() < before.until + MOST;
      const pause = refused.repository !== undefined ? REPOSITORY : isRow ? Math.min(MOST, before.pause * 2) : FIRST;
      rows.set(key, { until: now() + pause, pause });
    },
    remaining: (refused) => Math.max(0, (rows.get(keyOf(refused))?.until ?? 0) - now()),
  };
}

/**
 * What is told of credentials that were refused.
 * @param host who refused them
 * @param left how long they are left alone; 0 where that was just now. Milliseconds
 */
export function refusedError(host: string, { registry }: Repository, left: number): AgentError {
  const rest = left === 0 ? '' : `, and is asked with them again in ${Math.ceil(left / 1000)} s unless they change`;
  return new AgentError('UPSTREAM_DENIED', `${host} refused the credentials configured for ${registry}${rest}`);
}
