import { LRUCache } from 'lru-cache';

/** Origins remembered at once. */
const MAX_ORIGINS = 256;

/** Which of a registry's endpoints is asked first: fail-over, and back. */
export interface Preference {
  /**
   * Endpoints in the order in which to ask: as given, but those that could not be reached lately behind the others.
   * When an endpoint's time is over, one caller finds it at its old place and thereby tries it for all: the others go on
   * as before until {@link reached} tells that it is back.
   * @param now milliseconds
   */
  order<E extends { readonly origin: string }>(endpoints: readonly E[], now: number): E[];
  /** It could not be reached, and it took time to find that out: one that refuses at once costs nobody anything. */
  lost(origin: string, now: number): void;
  /** It answered. */
  reached(origin: string): void;
  isAvoided(origin: string, now: number): boolean;
}

/**
 * Else every pull would begin with waiting for an endpoint that is away, as long as it is away. A registry with one
 * endpoint is not touched by it, and where all are avoided they are asked in their old order.
 * @param avoidFor how long an endpoint that could not be reached is not asked first; milliseconds
 */
export function createPreference(avoidFor: number): Preference {
  const until = new LRUCache<string, number>({ max: MAX_ORIGINS });
  const isAvoided = (origin: string, now: number): boolean => now < (until.get(origin) ?? Number.NEGATIVE_INFINITY);
  return {
    order(endpoints, now) {
      const usual: typeof endpoints = endpoints.filter(({ origin }) => !isAvoided(origin, now));
      for (const { origin } of usual) if (until.has(origin)) until.set(origin, now + avoidFor);
      return [...usual, ...endpoints.filter((endpoint) => !usual.includes(endpoint))];
    },
    lost(origin, now) {
      // Asked as the last resort it may fail again and again; its time must end all the same.
      if (!isAvoided(origin, now)) until.set(origin, now + avoidFor);
    },
    reached: (origin) => void until.delete(origin),
    isAvoided,
  };
}
