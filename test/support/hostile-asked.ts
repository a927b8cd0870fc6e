/* Who asked a hostile peer for something; see hostile-peer.ts for what may be imported here. */

/** Requests that came, by who sent them. */
export interface Asked {
  readonly by: ReadonlyMap<string, number>;
  /** From all together. */
  readonly sum: number;
  count(peer: string): void;
}

export function createAsked(): Asked {
  const by = new Map<string, number>();
  return {
    by,
    get sum() {
      return [...by.values()].reduce((sum, count) => sum + count, 0);
    },
    count: (peer) => void by.set(peer, (by.get(peer) ?? 0) + 1),
  };
}
