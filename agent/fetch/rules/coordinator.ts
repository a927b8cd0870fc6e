import { LeaseCount, LIVE_LEASES } from './lease-count.ts';
import type { Table } from './table.ts';
import { hasAll, isWithin, SEGMENT, type Segment } from './taking.ts';

/** Chunks of a holder's first lease: nobody knows yet how fast it is, or whether it is honest. */
const FIRST_SEGMENT = 4;

/** A grant that its holder has not announced by then was lost, or is not made use of. ms */
const GRANT_LIFE = 1_500;

/** What a claim is answered with. */
export type Verdict =
  | { readonly kind: 'grant'; readonly segment: Segment }
  | { readonly kind: 'refuse'; readonly fetching: readonly string[] };

interface Grant {
  readonly segment: Segment;
  readonly at: number;
}

/**
 * Hands out the leases of one blob, by what all announce: whoever else is asked, with the same table, hands out nothing
 * that contradicts it. Only grants that are not announced yet are its own knowledge. Pure; times in ms.
 */
export class Coordinator {
  readonly #table: Table;
  readonly #self: string;
  readonly #granted = new Map<string, Grant>();

  readonly #count: LeaseCount;

  constructor(table: Table, self: string) {
    this.#table = table;
    this.#self = self;
    this.#count = new LeaseCount(table);
  }

  /**
   * @param claimant this agent itself, too
   * @param first the chunk its client waits for: what is granted lies behind it, where there is anything behind it
   * @param isCrowd whether there are more than are all heard of
   * @param isLone whether there is nobody else on the LAN: then a lease is the whole blob at once
   */
  claim(claimant: string, first: number, now: number, isLone = false, isCrowd = false): Verdict {
    const table = this.#table;
    table.review(now);
    this.#forgetOld(now);
    const others = this.#taken(claimant, now);
    const fetching = [...others.keys()];
    if (table.barred.has(claimant) && this.#mayOthersTake(claimant)) return { kind: 'refuse', fetching };
    const allowed = this.#count.allowed(others.size + (this.#hasLease(claimant) ? 1 : 0), now);
    if (others.size >= allowed) return { kind: 'refuse', fetching };
    const own = claimant === this.#self ? table.own : table.others.get(claimant);
    // Who has a lease asks for the next before the last of it is there: what it takes already is not taken again.
    const busy = [...others.values(), ...(own === undefined ? [] : [own.leases])];
    const isFree = (index: number) =>
      !table.isHadFor(claimant, index) && !busy.some((segments) => isWithin(index, segments));
    const from = this.#firstFree(first, isFree);
    if (from === undefined) return { kind: 'refuse', fetching };
    const isNew = own === undefined || own.received === 0;
    const isAlone = !isCrowd && !this.#isTakenBeside(claimant);
    // A lease beyond the usual may turn out to be of no use: it is soon over.
    const most = isNew || others.size >= LIVE_LEASES ? FIRST_SEGMENT : SEGMENT;
    const sharing = table.uplink.needed(now) === undefined ? LIVE_LEASES : allowed;
    const longest = isLone || (isAlone && !isNew) ? table.count : this.#segment(most, sharing, isFree);
    const segment: Segment = [from, this.#freeUntil(from, Math.min(table.count, from + longest), isFree)];
    this.#granted.set(claimant, { segment, at: now });
    return { kind: 'grant', segment };
  }

  /**
   * What is granted is announced now, and from here on the table's. What was announced before the grant arrived says
   * nothing of it: who claims tells of itself in the same moment.
   */
  announced(peer: string, leases: readonly Segment[]): void {
    const granted = this.#granted.get(peer);
    if (granted === undefined) return;
    const [from, to] = granted.segment;
    if (leases.some((lease) => lease[0] < to && lease[1] > from)) this.#granted.delete(peer);
  }

  /** Until when a grant may still be announced; the past where none is open. ms */
  get waitsUntil(): number {
    let until = Number.NEGATIVE_INFINITY;
    for (const { at } of this.#granted.values()) until = Math.max(until, at + GRANT_LIFE);
    return until;
  }

  /** A neighbour is gone, and what it was granted is free. */
  left(peer: string): void {
    this.#granted.delete(peer);
  }

  /** Who else takes chunks from upstream, or was just told to. */
  #taken(claimant: string, now: number): Map<string, readonly Segment[]> {
    const { own, barred } = this.#table;
    const taken = new Map<string, readonly Segment[]>();
    for (const { peer, leases } of this.#table.leases(now)) if (peer !== claimant) taken.set(peer, leases);
    if (claimant !== this.#self && own.leases.length > 0 && !this.#table.isLate(own, now)) {
      taken.set(this.#self, own.leases);
    }
    for (const [peer, { segment }] of this.#granted) {
      // Who claims may not have been heard of otherwise yet: when all start at once, claims come first.
      if (peer === claimant || barred.has(peer)) continue;
      taken.set(peer, [...(taken.get(peer) ?? []), segment]);
    }
    return taken;
  }

  #hasLease(peer: string): boolean {
    const { own, others } = this.#table;
    return ((peer === this.#self ? own : others.get(peer))?.leases.length ?? 0) > 0;
  }

  /** Whether anybody beside `claimant` takes the blob. */
  #isTakenBeside(claimant: string): boolean {
    const { others, takesPart } = this.#table;
    if (claimant === this.#self) return others.size > 0;
    return takesPart || others.size > (others.has(claimant) ? 1 : 0);
  }

  /** Whether somebody else, who lacks chunks and is not barred, may take what a barred claimant may not. */
  #mayOthersTake(claimant: string): boolean {
    const { own, takesPart, barred, count } = this.#table;
    const mayOwn = takesPart && !barred.has(this.#self) && !hasAll(own.have, count);
    if (claimant !== this.#self && mayOwn) return true;
    return this.#table.isWantedBy((peer) => peer !== claimant && !barred.has(peer));
  }

  #firstFree(first: number, isFree: (index: number) => boolean): number | undefined {
    const { count } = this.#table;
    for (let step = 0; step < count; step++) {
      const index = (first + step) % count;
      if (isFree(index)) return index;
    }
    return undefined;
  }

  /**
   * Near the end what is left is shared out evenly: where each connection is capped, all must stay busy to the last, and
   * a chunk takes each of many as long as several take each of two.
   * @param most chunks @param leases how many share it
   */
  #segment(most: number, leases: number, isFree: (index: number) => boolean): number {
    let free = 0;
    for (let index = 0; index < this.#table.count; index++) if (isFree(index)) free++;
    const least = Math.ceil(FIRST_SEGMENT / Math.max(1, leases - 1));
    return Math.max(least, Math.min(most, Math.ceil(free / (2 * leases))));
  }

  #freeUntil(from: number, end: number, isFree: (index: number) => boolean): number {
    let to = from + 1;
    while (to < end && isFree(to)) to++;
    return to;
  }

  #forgetOld(now: number): void {
    for (const [peer, { at }] of this.#granted) if (now - at > GRANT_LIFE) this.#granted.delete(peer);
  }
}
