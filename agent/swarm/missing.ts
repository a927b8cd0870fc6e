import { LRUCache } from 'lru-cache';
import type { Digest } from '../../protocol/digest.ts';

/** How long a peer that turned out not to have what it advertised is not asked for that blob. ms. */
export const MISSING_TTL = 60_000;

/** Pairs remembered. */
const MAX_PAIRS = 10_000;

/** Who turned out not to have what. */
export interface MissingRecord {
  note(peer: string, digest: Digest): void;
  has(peer: string, digest: Digest): boolean;
}

/** @param now monotonic clock in ms */
export function createMissingRecord(now: () => number): MissingRecord {
  const pairs = new LRUCache<string, true>({ max: MAX_PAIRS, ttl: MISSING_TTL, ttlResolution: 0, perf: { now } });
  const key = (peer: string, digest: Digest): string => `${peer} ${digest}`;
  return {
    note(peer, digest) {
      pairs.set(key(peer, digest), true);
    },
    has: (peer, digest) => pairs.get(key(peer, digest)) === true,
  };
}
