import type { Digest } from '../../../protocol/digest.ts';
import { rank } from '../../../protocol/rendezvous.ts';

/** How many agents take a chunk of each signer from upstream, once a whole does not match. */
const PROBERS = 2;

/** Chunks that are looked at again by one agent, one after the other. */
const SEGMENT = 16;

/** How long whoever should look at a chunk again may take; then it is the next one's. ms */
const OPINION_PATIENCE = 5_000;

/** Hints of one accuser that turned out wrong, after which it is not listened to for this blob. */
const FALSE_HINTS = 3;

/** Hints that wait to be looked into. */
const MAX_HINTS = 64;

/** Who said what of a chunk that is there. */
export interface Testimony {
  /** Who signed for it; this agent's own id where it took the chunk from upstream itself. */
  readonly signer: string;
  /** Hex. */
  readonly sha256: string;
}

/** What is to be done next. */
export type Step =
  /** Take this chunk from upstream, and say what it is there. @see Trial.found */
  | { readonly kind: 'check'; readonly index: number }
  /** Nothing before this time, or before something is heard. ms */
  | { readonly kind: 'wait'; readonly until: number }
  /** Nobody can be trusted: what others signed for is taken from upstream, by this agent alone. */
  | { readonly kind: 'alone' };

/**
 * Finds out who signed for chunks that are not so, where all are there and the whole does not match: a chunk of each
 * signer is compared with upstream; if that convicts nobody, each chunk is looked at again by somebody who did not sign
 * for it; where two differ, this agent asks upstream itself. What others say is never believed, only looked into.
 * Pure; times in ms.
 */
export class Trial {
  readonly #digest: Digest;
  readonly #self: string;
  readonly #testimonies = new Map<number, Testimony>();
  /** What upstream has, as this agent saw it itself. Hex. */
  readonly #truth = new Map<number, string>();
  /** Who, other than the signer, has seen the same upstream. */
  readonly #seconded = new Set<number>();
  readonly #probed = new Set<string>();
  readonly #hints: { readonly index: number; readonly accuser: string; readonly testimony: Testimony }[] = [];
  readonly #falseHints = new Map<string, number>();
  /** Since when a chunk waits for its second opinion. */
  readonly #asked = new Map<number, number>();
  #isOpen = false;

  constructor(digest: Digest, self: string) {
    this.#digest = digest;
    this.#self = self;
  }

  /** The whole does not match, and these are the chunks. */
  open(testimonies: ReadonlyMap<number, Testimony>): void {
    this.#isOpen = true;
    for (const [index, testimony] of testimonies) {
      const before = this.#testimonies.get(index);
      if (before?.sha256 !== testimony.sha256) this.#seconded.delete(index);
      this.#testimonies.set(index, testimony);
    }
  }

  /** The chunk is what upstream has: this agent saw it. Gives those who said otherwise. */
  found(index: number, sha256: string): Testimony[] {
    this.#truth.set(index, sha256);
    const liars: Testimony[] = [];
    const testimony = this.#testimonies.get(index);
    if (testimony !== undefined && testimony.sha256 !== sha256) liars.push(testimony);
    for (const hint of this.#hints.splice(0)) {
      if (hint.index !== index) this.#hints.push(hint);
      else if (hint.testimony.sha256 !== sha256) liars.push(hint.testimony);
      else this.#falseHints.set(hint.accuser, (this.#falseHints.get(hint.accuser) ?? 0) + 1);
    }
    return liars;
  }

  /** Somebody says that this testimony, which its signer did give, is false. */
  accused(accuser: string, index: number, testimony: Testimony): void {
    if ((this.#falseHints.get(accuser) ?? 0) >= FALSE_HINTS || this.#hints.length >= MAX_HINTS) return;
    if (testimony.signer === this.#self) return;
    this.#hints.push({ index, accuser, testimony });
  }

  /** Somebody looked at a chunk again, and this is what it saw. */
  vouched(peer: string, index: number, sha256: string): void {
    const testimony = this.#testimonies.get(index);
    if (testimony === undefined || testimony.signer === peer) return;
    if (testimony.sha256 === sha256) this.#seconded.add(index);
    else this.accused(testimony.signer, index, { signer: peer, sha256 });
  }

  /** Chunks that rest on somebody's word alone, and whose word that is. */
  restingOn(signer: string): number[] {
    const indexes: number[] = [];
    for (const [index, testimony] of this.#testimonies) {
      if (testimony.signer === signer && !this.#isSettled(index)) indexes.push(index);
    }
    return indexes;
  }

  /** Whether a chunk needs nobody's word any more. */
  isKnown(index: number): boolean {
    return this.#truth.has(index);
  }

  /** @param takers who else takes the blob @param now ms */
  next(takers: readonly string[], now: number): Step {
    const hint = this.#hints.find(({ index }) => !this.#truth.has(index));
    if (hint !== undefined) return { kind: 'check', index: hint.index };
    this.#settleHints();
    if (!this.#isOpen) return { kind: 'wait', until: Number.POSITIVE_INFINITY };
    const everybody = [this.#self, ...takers];
    return this.#probe(everybody) ?? this.#secondOpinion(everybody, now);
  }

  /** A chunk of a signer that this agent is one of those to look at. */
  #probe(everybody: readonly string[]): Step | undefined {
    for (const [index, { signer }] of this.#testimonies) {
      if (signer === this.#self || this.#probed.has(signer)) continue;
      this.#probed.add(signer);
      const place = this.#placeOf(everybody, signer, `probe ${signer}`);
      if (place >= PROBERS) continue;
      // Not all the same one: a liar lies in one chunk and not in the other.
      const theirs = [...this.#testimonies].filter(([, each]) => each.signer === signer).map(([each]) => each);
      const chosen = theirs[Number.parseInt(hexOf(rank(this.#digest, this.#self)).slice(0, 8), 16) % theirs.length];
      if (!this.#truth.has(chosen ?? index)) return { kind: 'check', index: chosen ?? index };
    }
    return undefined;
  }

  /** The next chunk that is this agent's to look at again; `alone` where all have been looked at, and nobody was caught. */
  #secondOpinion(everybody: readonly string[], now: number): Step {
    let until = Number.POSITIVE_INFINITY;
    for (const [index, { signer }] of this.#testimonies) {
      if (this.#isSettled(index)) continue;
      const since = this.#asked.get(index) ?? now;
      this.#asked.set(index, since);
      const late = Math.floor((now - since) / OPINION_PATIENCE);
      if (this.#placeOf(everybody, signer, `second ${Math.floor(index / SEGMENT)}`) <= late) {
        return { kind: 'check', index };
      }
      until = Math.min(until, since + (late + 1) * OPINION_PATIENCE);
    }
    return Number.isFinite(until) ? { kind: 'wait', until } : { kind: 'alone' };
  }

  /** Chunks whose truth is known say at once whether a hint is right. */
  #settleHints(): void {
    for (const { index } of [...this.#hints]) {
      const truth = this.#truth.get(index);
      if (truth !== undefined) this.found(index, truth);
    }
  }

  #isSettled(index: number): boolean {
    return this.#truth.has(index) || this.#seconded.has(index) || this.#testimonies.get(index)?.signer === this.#self;
  }

  /** This agent's place among all but the signer, in an order that all compute alike. */
  #placeOf(everybody: readonly string[], signer: string, what: string): number {
    const own = rank(this.#digest, `${this.#self} ${what}`);
    let place = 0;
    for (const peer of everybody) {
      if (peer === this.#self || peer === signer) continue;
      if (Buffer.compare(rank(this.#digest, `${peer} ${what}`), own) > 0) place++;
    }
    return place;
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
