/** What is known of a peer that says it holds the blob. */
export interface Candidate {
  readonly peer: string;
  /** Peers of one address count as one. */
  readonly address: string;
  readonly root: string;
  /** When it may be asked: the past for now, Infinity for not again. Milliseconds of the agent's clock. */
  readonly usableFrom: number;
}

/** All that the choice of a source rests on. Times are milliseconds of the agent's clock. */
export interface Facts {
  readonly now: number;
  /** Holders in the order in which they answered. */
  readonly candidates: readonly Candidate[];
  readonly lookup: {
    /** Everybody who could be asked has answered. */
    readonly done: boolean;
    /** Until here a pull waits for answers rather than start upstream. */
    readonly deadline: number;
    /** Until here a pull that has nobody else waits for answers rather than fail. */
    readonly patience: number;
  };
  /** Whether upstream is worth asking: it was not yet, or its last answer brought something. */
  readonly upstreamUsable: boolean;
}

/** Where the next chunks come from. `wait` is until a time or a change, whichever is first. */
export type Choice =
  | { readonly kind: 'peer'; readonly peer: string }
  | { readonly kind: 'upstream' }
  | { readonly kind: 'wait'; readonly until: number }
  | { readonly kind: 'fail' };

/**
 * Peers before upstream, upstream once the look-up had its time, and failure only when nobody is left who may
 * still come.
 */
export function chooseSource(facts: Facts): Choice {
  const usable = facts.candidates.filter((candidate) => candidate.usableFrom <= facts.now);
  const best = mostClaimed(usable, facts.candidates);
  if (best !== undefined) return { kind: 'peer', peer: best.peer };
  if (!facts.lookup.done && facts.now < facts.lookup.deadline) return { kind: 'wait', until: facts.lookup.deadline };
  if (facts.upstreamUsable) return { kind: 'upstream' };
  const soonest = Math.min(...facts.candidates.map((candidate) => candidate.usableFrom));
  if (soonest < Number.POSITIVE_INFINITY) return { kind: 'wait', until: soonest };
  if (!facts.lookup.done && facts.now < facts.lookup.patience) return { kind: 'wait', until: facts.lookup.patience };
  return { kind: 'fail' };
}

/** The first of `usable` whose chunk map most addresses claim: a lone liar does not come before two honest peers. */
function mostClaimed(usable: readonly Candidate[], all: readonly Candidate[]): Candidate | undefined {
  let best: Candidate | undefined;
  let most = 0;
  for (const candidate of usable) {
    const claims = addressesClaiming(candidate.root, all);
    if (claims > most) {
      best = candidate;
      most = claims;
    }
  }
  return best;
}

/** How many addresses claim this chunk map. */
export function addressesClaiming(root: string, candidates: readonly { root: string; address: string }[]): number {
  return new Set(candidates.filter((candidate) => candidate.root === root).map((candidate) => candidate.address)).size;
}
