/** What is known of a peer that says it holds the blob. */
export interface Candidate {
  readonly peer: string;
  /** Peers of one address count as one. */
  readonly address: string;
  /** The root of the chunk map it claims, hex. */
  readonly root: string;
  /** Whether chunks may be asked of it. */
  readonly isUsable: boolean;
}

/** The chunk map of one of `usable` that most addresses claim: a lone liar does not come before two honest peers. */
export function mostClaimed(usable: readonly Candidate[], all: readonly Candidate[]): string | undefined {
  let best: string | undefined;
  let most = 0;
  for (const { root } of usable) {
    const claims = addressesClaiming(root, all);
    if (claims > most) {
      best = root;
      most = claims;
    }
  }
  return best;
}

/** How many addresses claim this chunk map. */
export function addressesClaiming(root: string, candidates: readonly { root: string; address: string }[]): number {
  return new Set(candidates.filter((candidate) => candidate.root === root).map((candidate) => candidate.address)).size;
}
