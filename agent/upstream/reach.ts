import { LRUCache } from 'lru-cache';

/** Origins remembered at once. */
const MAX_ORIGINS = 256;

/** Which origins were just found to be silent. */
export interface LostOrigins {
  note(origin: string, now: number): void;
  forget(origin: string): void;
  has(origin: string, now: number): boolean;
}

/**
 * A short memory of what cannot be reached, so that the many requests of one pull do not each wait the time-out that
 * the first has waited. It holds only what took a time-out to find out (a refused connection is refused again in no
 * time), and no longer than that wait itself: a network that is back is used again at most `unreachableFor` later,
 * sooner than the next request would have given up without the memory.
 * @param unreachableFor milliseconds
 */
export function createLostOrigins(unreachableFor: number): LostOrigins {
  const until = new LRUCache<string, number>({ max: MAX_ORIGINS });
  return {
    note: (origin, now) => void until.set(origin, now + unreachableFor),
    forget: (origin) => void until.delete(origin),
    has: (origin, now) => now < (until.get(origin) ?? Number.NEGATIVE_INFINITY),
  };
}
