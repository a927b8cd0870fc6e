import type { Digest } from '../../../protocol/digest.ts';
import { rank } from '../../../protocol/rendezvous.ts';
import { SEGMENT } from './taking.ts';

/** How many agents take a chunk of each signer from upstream, once a whole does not match. */
const PROBERS = 2;

/** How long whoever should look at a chunk again may take; then it is the next one's. ms */
const OPINION_PATIENCE = 3_000;

/** Hints of one accuser that turned out wrong, after which it is not listened to for this blob. */
const FALSE_HINTS = 3;

/** Hints that wait to be looked into. */
const MAX_HINTS = 64;

/** Opinions of others that are kept: each chunk of the largest blob once, and some twice. */
const MAX_OPINIONS = 32_768;

/** Who said what of a chunk. */
export interface Testimony {
  /** Who signed for it; this agent's own id where it took the chunk from upstream itself. */
  readonly signer: string;
  /** Hex. */
  readonly sha256: string;
}

/** What is to be done next. */
export type Step =
  /** Take this chunk from upstream, and say what it is there: {@link Trial.found}. */
  | { readonly kind: 'check'; readonly index: number }
  /** Nothing before this time, or before something is heard. ms */
  | { readonly kind: 'wait'; readonly until: number }
  /** Nobody can be trusted: what others signed for is to be taken from upstream by this agent alone. */
  | { readonly kind: 'alone' };

interface Hint {
  readonly index: number;
  readonly accuser: string;
  readonly testimony: Testimony;
}

/**
 * Finds out who signed for chunks that are not so, where all are there and the whole does not match: a chunk of each
 * signer is compared with upstream; if that convicts nobody, each chunk is looked at again by somebody who did not sign
 * for it; where two differ, this agent asks upstream itself. What others say is never believed, only looked into.
 * Pure; times in ms.
 */
export class Trial {
  readonly #digest: Digest;
  readonly #self: string;
  #testimonies: ReadonlyMap<number, Testimony> = new Map();
  /** What upstream has, as this agent saw it itself. Hex. */
  readonly #truth = new Map<number, string>();
  /** What others saw upstream, by chunk and peer. */
  readonly #opinions = new Map<number, Map<string, string>>();
  #opinionCount = 0;
  readonly #probed = new Set<string>();
  readonly #disputed = new Set<number>();
  #hints: Hint[] = [];
  readonly #falseHints = new Map<string, number>();
  /** Since when a chunk waits for its second opinion. */
  readonly #waiting = new Map<number, number>();
  #isOpen = false;

  constructor(digest: Digest, self: string) {
    this.#digest = digest;
    this.#self = self;
  }

  /** The whole does not match, and these are its chunks. */
  open(testimonies: ReadonlyMap<number, Testimony>): void {
    this.#isOpen = true;
    this.#testimonies = testimonies;
  }

  /** Something was dropped: until all is there again and does not match again, there is nothing to find out. */
  adjourn(): void {
    this.#isOpen = false;
  }

  /** Two contradict each other over this chunk. */
  dispute(index: number): void {
    this.#disputed.add(index);
  }

  /** Somebody says that this testimony, which its signer did give, is false. */
  accused(accuser: string, index: number, testimony: Testimony): void {
    if ((this.#falseHints.get(accuser) ?? 0) >= FALSE_HINTS || this.#hints.length >= MAX_HINTS) return;
    if (testimony.signer !== this.#self) this.#hints.push({ index, accuser, testimony });
  }

  /** Somebody looked at a chunk again, and this is what it saw. */
  vouched(peer: string, index: number, sha256: string): void {
    if (this.#opinionCount >= MAX_OPINIONS) return;
    const opinions = this.#opinions.get(index) ?? new Map<string, string>();
    this.#opinions.set(index, opinions);
    if (!opinions.has(peer)) this.#opinionCount++;
    opinions.set(peer, sha256);
  }

  /** The chunk is this upstream: this agent saw it. Gives all who said otherwise. */
  found(index: number, sha256: string): Testimony[] {
    this.#truth.set(index, sha256);
    this.#disputed.delete(index);
    const said: Testimony[] = [];
    const testimony = this.#testimonies.get(index);
    if (testimony !== undefined) said.push(testimony);
    for (const [signer, opinion] of this.#opinions.get(index) ?? []) said.push({ signer, sha256: opinion });
    const about = this.#hints.filter((hint) => hint.index === index);
    this.#hints = this.#hints.filter((hint) => hint.index !== index);
    for (const hint of about) {
      said.push(hint.testimony);
      if (hint.testimony.sha256 !== sha256) continue;
      this.#falseHints.set(hint.accuser, (this.#falseHints.get(hint.accuser) ?? 0) + 1);
    }
    return said.filter((each) => each.sha256 !== sha256 && each.signer !== this.#self);
  }

  /** The chunk could not be looked at: the same again, where others have no part in it, before it is their turn. */
  failed(index: number): void {
    const testimony = this.#testimonies.get(index);
    if (testimony !== undefined) this.#probed.delete(testimony.signer);
  }

  /** Whether this agent saw the chunk upstream itself. */
  isKnown(index: number): boolean {
    return this.#truth.has(index);
  }

  /** What to do now. @param takers who else takes the blob */
  next(takers: readonly string[], now: number): Step {
    for (const index of this.#disputed) return { kind: 'check', index };
    // One at a time, also where the truth is known by now: then looking again costs a chunk, and ends the matter.
    for (const { index } of this.#hints) return { kind: 'check', index };
    if (!this.#isOpen) return { kind: 'wait', until: Number.POSITIVE_INFINITY };
    const everybody = [this.#self, ...takers];
    return this.#contradicted() ?? this.#probe(everybody) ?? this.#secondOpinion(everybody, now);
  }

  /** A chunk of which somebody saw something else upstream. */
  #contradicted(): Step | undefined {
    for (const [index, { sha256 }] of this.#testimonies) {
      if (this.#truth.has(index)) continue;
      for (const opinion of this.#opinions.get(index)?.values() ?? []) {
        if (opinion !== sha256) return { kind: 'check', index };
      }
    }
    return undefined;
  }

  /** A chunk of a signer that this agent is one of those to look at. */
  #probe(everybody: readonly string[]): Step | undefined {
    for (const { signer } of this.#testimonies.values()) {
      if (signer === this.#self || this.#probed.has(signer)) continue;
      this.#probed.add(signer);
      if (this.#placeOf(everybody, signer, `probe ${signer}`) >= PROBERS) continue;
      const theirs = [...this.#testimonies].filter(
        ([index, each]) => each.signer === signer && !this.#truth.has(index),
      );
      // Not all look at the same one: a liar lies in one chunk and not in the other.
      const chosen = theirs[drawn(this.#digest, `${this.#self} ${signer}`) % Math.max(1, theirs.length)];
      if (chosen !== undefined) return { kind: 'check', index: chosen[0] };
    }
    return undefined;
  }

  /** The next chunk that is this agent's to look at again; `alone` where all have been looked at, and nobody was caught. */
  #secondOpinion(everybody: readonly string[], now: number): Step {
    let until = Number.POSITIVE_INFINITY;
    for (const [index, testimony] of this.#testimonies) {
      if (this.#isSettled(index, testimony)) continue;
      const since = this.#waiting.get(index) ?? now;
      this.#waiting.set(index, since);
      const late = Math.floor((now - since) / OPINION_PATIENCE);
      const place = this.#placeOf(everybody, testimony.signer, `second ${Math.floor(index / SEGMENT)}`);
      if (place <= late) return { kind: 'check', index };
      until = Math.min(until, since + (late + 1) * OPINION_PATIENCE);
    }
    return Number.isFinite(until) ? { kind: 'wait', until } : { kind: 'alone' };
  }

  /** Whether this agent saw it itself, or somebody who did not sign for it says the same. */
  #isSettled(index: number, { signer, sha256 }: Testimony): boolean {
    if (signer === this.#self || this.#truth.has(index)) return true;
    for (const [peer, opinion] of this.#opinions.get(index) ?? [])
      if (peer !== signer && opinion === sha256) return true;
    return false;
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

/** A number below 2³² that is the same for the same two. */
function drawn(digest: Digest, what: string): number {
  return Buffer.from(rank(digest, what)).readUInt32BE(0);
}
