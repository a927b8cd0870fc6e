import type { Digest } from '../../../protocol/digest.ts';
import { ROSTER_LENGTH } from '../limits.ts';
import type { HeldDescription, Holdings } from '../ports.ts';

/** The blobs that neighbours are told of, the same for all: the most recently held, up to a bound. */
export interface Roster {
  /** All of them, the most recently used first. */
  whole(): Digest[];
  /** Whether more is held than is on it. Stays so: what was pushed out does not come back by itself. */
  readonly isTruncated: boolean;
  /** Size and chunk map root of a blob on it; undefined where it is not, or no longer. */
  describe(digest: Digest): HeldDescription | undefined;
  /** Calls back with every blob that comes or goes. Returns what unsubscribes. */
  onChange(listener: (digest: Digest) => void): () => void;
  stop(): void;
}

export interface RosterInit {
  /** @default ROSTER_LENGTH */
  readonly limit?: number;
}

export function createRoster(
  holdings: Pick<Holdings, 'held' | 'recent' | 'onHold' | 'onDrop'>,
  init: RosterInit = {},
): Roster {
  const { limit = ROSTER_LENGTH } = init;
  /**
   * In order of age, the oldest first. Described when first told, and kept: a neighbour that comes costs no look into
   * the store's database for each blob, and a digest has one size and one root for good.
   */
  const blobs = new Map<Digest, HeldDescription | undefined>();
  const listeners = new Set<(digest: Digest) => void>();
  const recent = holdings.recent(limit + 1);
  let isTruncated = recent.length > limit;
  for (const digest of recent.slice(0, limit).reverse()) blobs.set(digest, undefined);

  const tell = (digest: Digest): void => {
    for (const listener of [...listeners]) listener(digest);
  };
  const hold = (digest: Digest): void => {
    blobs.delete(digest);
    blobs.set(digest, undefined);
    if (blobs.size > limit) {
      const [oldest] = blobs.keys() as Iterable<Digest>;
      isTruncated = true;
      if (oldest !== undefined) {
        blobs.delete(oldest);
        // Before the one that takes its place, so that nobody is told of more than the limit.
        tell(oldest);
      }
    }
    tell(digest);
  };
  const unsubscribe = [
    holdings.onHold(hold),
    holdings.onDrop((digest) => {
      if (blobs.delete(digest)) tell(digest);
    }),
  ];

  return {
    whole: () => [...blobs.keys()].reverse(),
    get isTruncated() {
      return isTruncated;
    },
    describe(digest) {
      if (!blobs.has(digest)) return undefined;
      const known = blobs.get(digest) ?? holdings.held(digest);
      if (known !== undefined) blobs.set(digest, known);
      return known;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      for (const end of unsubscribe) end();
      listeners.clear();
    },
  };
}
