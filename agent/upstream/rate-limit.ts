import { LRUCache } from 'lru-cache';
import type { Metrics } from '../observe/metrics.ts';

/** Registries told of at once: a client may name any. */
const MAX_REGISTRIES = 64;

/** A window longer than this is nonsense. Seconds (a year). */
const MAX_WINDOW = 31_536_000;

/** What a registry last said of how many requests it allows us (Docker Hub: manifests by GET, for an address or account). */
export interface RateLimit {
  readonly registry: string;
  /** In each window. */
  readonly limit: number;
  readonly remaining: number;
  /** Seconds; null where the registry names none. */
  readonly window: number | null;
}

/** Listens to `ratelimit-limit` and `ratelimit-remaining`. */
export interface RateLimits {
  heard(registry: string, headers: Readonly<Record<string, string | string[] | undefined>>): void;
  /** What was said less than a window ago. */
  all(): RateLimit[];
}

type Amount = { readonly count: number; readonly window: number | null };

/** @param now milliseconds, never going back */
export function createRateLimits(
  metrics: Pick<Metrics, 'upstreamRateLimit' | 'upstreamRateRemaining'>,
  now: () => number = () => performance.now(),
): RateLimits {
  const forget = (registry: string): void => {
    metrics.upstreamRateLimit.remove({ registry });
    metrics.upstreamRateRemaining.remove({ registry });
  };
  const said = new LRUCache<string, { readonly at: number; readonly rate: RateLimit }>({
    max: MAX_REGISTRIES,
    dispose: (_, registry, reason) => void (reason === 'set' || forget(registry)),
  });
  return {
    heard(registry, headers) {
      const limit = parseRateLimit(headers['ratelimit-limit']);
      const remaining = parseRateLimit(headers['ratelimit-remaining']);
      if (limit === undefined || remaining === undefined) return;
      const rate = {
        registry,
        limit: limit.count,
        remaining: remaining.count,
        window: limit.window ?? remaining.window,
      };
      said.set(registry, { at: now(), rate });
      metrics.upstreamRateLimit.set({ registry }, rate.limit);
      metrics.upstreamRateRemaining.set({ registry }, rate.remaining);
    },
    all() {
      return [...said.values()].flatMap(({ at, rate }) => {
        const isOver = rate.window !== null && now() - at > rate.window * 1000;
        return isOver ? [] : [rate];
      });
    },
  };
}

/** `100;w=21600`: a number of requests, and the seconds in which they are allowed; undefined for whatever is not that. */
export function parseRateLimit(header: string | string[] | undefined): Amount | undefined {
  const [text, ...others] = [header ?? []].flat();
  const match = others.length > 0 ? null : /^(\d{1,9})(?:;w=(\d{1,9}))?$/.exec(text ?? '');
  if (match === null) return undefined;
  const window = match[2] === undefined ? null : Number(match[2]);
  return window !== null && window > MAX_WINDOW ? undefined : { count: Number(match[1]), window };
}
