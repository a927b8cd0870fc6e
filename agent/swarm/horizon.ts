/** How long a walk's finding counts: an agent nobody told us of may have joined since. ms */
export const HORIZON_TTL = 60_000;

/** Kademlia's k: a node answers with so many peers at most. With fewer in all, it answers with all it knows. */
const K = 20;

/** What a walk through the DHT met. */
export interface Walk {
  /** Ids of all who were asked, or named in an answer. */
  readonly met: ReadonlySet<string>;
  /** It went to its end, and everybody who was asked answered. */
  readonly isWhole: boolean;
}

/**
 * Whether the DHT can name anybody who is not a neighbour. A walk asks every node it hears of, and each answers with
 * the k peers it knows nearest to the key: with fewer than k in all, with every one. So when a walk ended with fewer
 * than k, each of whom answered and each of whom is a neighbour, every node of the DHT is a neighbour; a record names a
 * node, or one that has left; and neighbours tell themselves what they hold. Until a neighbour comes or goes, or the
 * finding is old, a walk for another blob would bring nothing, and a miss does not wait for it. In a larger fleet a walk
 * sees only the part near its key: there nothing is concluded, and `peers.lookupTimeout` bounds the wait as before.
 * Pure.
 */
export interface Horizon {
  isClosed(generation: number, now: number): boolean;
  /** @param before the neighbours' generation when the walk began */
  walked(walk: Walk, before: number, after: number, now: number, isNeighbour: (id: string) => boolean): void;
}

export function createHorizon(): Horizon {
  let closed: { readonly generation: number; readonly at: number } | undefined;
  return {
    isClosed: (generation, now) =>
      closed !== undefined && closed.generation === generation && now - closed.at < HORIZON_TTL,
    walked({ met, isWhole }, before, after, now, isNeighbour) {
      const sawAll = isWhole && before === after && met.size > 0 && met.size < K;
      if (sawAll && [...met].every(isNeighbour)) closed = { generation: after, at: now };
    },
  };
}
