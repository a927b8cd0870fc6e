import { hasBit } from '../../../protocol/bitmap.ts';
import type { Digest } from '../../../protocol/digest.ts';
import type { Announcer } from './announcer.ts';
import { Claimant } from './claimant.ts';
import type { Coordinator } from './coordinator.ts';
import { Lease } from './lease.ts';
import { LIVE_LEASES, MOST_LEASES } from './lease-count.ts';
import { OwnAccount } from './own-account.ts';
import type { Part } from './part.ts';
import { CROWD, type Neighbourhood, type Partners } from './partners.ts';
import { isHopeless, STANDSTILL } from './standstill.ts';
import type { Table } from './table.ts';
import { isWithin, type Segment } from './taking.ts';
import { isLeftToHolders, isTakenHigher, isUncovered } from './uncovered.ts';
import type { Wish } from './wish.ts';

/** How long a refused claimant of a crowd waits more, for each {@link CROWD} neighbours. ms */
const CROWD_PAUSE = 500;

/** What leasing asks of the agent around it. */
export interface LeasingSurroundings extends Neighbourhood {
  /** How long a coordinator may take to answer. ms */
  leaseTimeout(): number;
  wish(wish: Wish): void;
}

/** What the leases of one blob rest on: all of it the share's. */
export interface LeasingComponents {
  readonly digest: Digest;
  /** null for a manifest whose size nobody knows. */
  readonly size: number | null;
  readonly table: Table;
  readonly coordinator: Coordinator;
  readonly partners: Partners;
  readonly announcer: Announcer;
  readonly surroundings: LeasingSurroundings;
}

/** What one agent takes of one blob from upstream, from when it joins until it leaves: whom it asks for a lease, what it
 * makes of a grant, and when it waits for nobody's leave. Pure; times in ms. */
export class Leasing {
  readonly #components: LeasingComponents;
  readonly #table: Table;
  readonly #part: Part;
  readonly #claimant: Claimant;
  readonly #ownAccount: OwnAccount;
  readonly #lease = new Lease();
  /** Whether upstream gives no parts. */
  #isRangeless = false;
  /** Whether bytes came since the lease was begun. */
  #hasBrought = false;
  /** Whether what is being taken is given up. */
  #isHalted = false;
  /** Whether upstream was left for a holder that came. Once: false ones could come one after the other for ever. */
  #hasLeft = false;

  constructor(components: LeasingComponents, part: Part) {
    this.#components = components;
    this.#table = components.table;
    this.#part = part;
    this.#claimant = new Claimant(() => components.surroundings.leaseTimeout());
    this.#ownAccount = new OwnAccount(components.table, part, () => components.surroundings.place());
  }

  /** Whether this agent takes the chunk from upstream, now or next. */
  covers(index: number): boolean {
    return this.#lease.covers(index);
  }

  /** Whether the chunk is the one that upstream is sending just now. */
  isAt(index: number): boolean {
    return this.#lease.at === index;
  }

  // What neighbours say.

  /** The one that {@link isAsked} has granted it. */
  granted(peer: string, segment: Segment, now: number): void {
    this.#take(peer, segment, now);
  }

  /** The one that {@link isAsked} has refused. */
  refused(peer: string, fetching: readonly string[], now: number): void {
    const { partners, surroundings } = this.#components;
    this.#claimant.refused(peer, this.#isFetching(fetching, now), now);
    // Had all of a crowd to hear of a lease that ended, they would be too many to tell.
    if (partners.isCrowd) this.#claimant.wait(CROWD_PAUSE * (surroundings.neighbours().length / CROWD), now);
  }

  /** Whether `peer` is who this agent waits to hear of. */
  isAsked(peer: string): boolean {
    return this.#claimant.isAsked(peer);
  }

  /** A neighbour takes the blob no more. @param wasFetching whether it held a lease */
  left(peer: string, wasFetching: boolean): void {
    this.#claimant.left(peer);
    // A manifest comes at once or not at all: were each to wait out its pause, a fleet would fail one host a second.
    if (this.#components.size === null && wasFetching) this.#claimant.freed();
  }

  // What upstream brings.

  /** A chunk more is there, from wherever. */
  advanced(now: number): void {
    this.#lease.advance((each) => hasBit(this.#table.own.have, each));
    this.#note(now);
  }

  received(bytes: number, now: number): void {
    const { own } = this.#table;
    this.#hasBrought ||= bytes > 0;
    this.#table.leased(own, own.leases, own.received + bytes, now);
  }

  /** Upstream gives no parts: what is being taken is everything from there on. */
  noRange(): void {
    this.#isRangeless = true;
    this.#lease.extend(this.#table.count);
  }

  /** See {@link Share.upstreamEnded}. */
  ended(isUsable: boolean, now: number): void {
    this.#part.upstreamUsable = isUsable;
    if (!isUsable) this.#lease.dropNext();
    this.#claimant.ended(this.#hasBrought, now);
    this.#ownAccount.ended(this.#hasBrought, now);
    this.#hasBrought = false;
    this.#isHalted = false;
    const next = this.#lease.end();
    if (next !== undefined) this.#wishUpstream(next);
    this.#announce(now);
  }

  /** See {@link Share.goesOn}. */
  goesOn(index: number, now: number): boolean {
    // Others have come: an open-ended lease ends where it was said to, and they are granted what lies behind.
    if (this.#table.others.size > 0) this.#lease.close();
    const isLeft = !this.#isRangeless && !this.#hasLeft && isLeftToHolders(this.#table, this.#part);
    this.#hasLeft ||= isLeft;
    const goes = !isLeft && !this.#lease.isBehind(index) && this.#mayTake(index, now);
    if (!goes) this.#lease.cut(index);
    return goes;
  }

  /** Whether others take chunks from upstream, as far as can be seen: not all of a crowd can. */
  isFetchedByOthers(now: number): boolean {
    return this.#components.partners.isCrowd || this.#table.leases(now).length > 0;
  }

  // What is due.

  /**
   * Claims a lease where one is of use; gives up where neither upstream nor anybody else is.
   * @param isAsking whether chunks of others are under way
   */
  decide(isAsking: boolean, now: number): void {
    const part = this.#part;
    if (!part.upstreamUsable) {
      if (!isAsking) this.#giveUp(now);
      return;
    }
    this.#haltWhereLate(now);
    if (now < part.searchUntil || (this.#lease.isHeld && !this.#lease.isRunningOut)) return;
    if (!isAsking && this.#onOwnAccount(now)) return;
    if (this.#table.leases(now).length >= this.#worthClaiming() || this.#part.holders.size > 0) return;
    if (!isUncovered(this.#table, this.#lease, now)) return;
    this.#askCoordinator(now);
  }

  /** When {@link decide} has something to do, if nothing happens before; each may have passed. */
  get dueAt(): readonly number[] {
    return [this.#claimant.dueAt, this.#part.searchUntil, ...this.#ownAccount.dueAt];
  }

  /** Whether any of these fetches, as far as can be seen. In a crowd not all can: then for as long as one may take. */
  #isFetching(named: readonly string[], now: number): boolean {
    if (this.#table.leases(now).some(({ peer }) => named.includes(peer))) return true;
    if (!this.#components.partners.isCrowd) return false;
    const patience = Math.max(STANDSTILL, this.#table.times.patience);
    return (
      now - this.#part.gainedAt < patience && named.some((peer) => this.#components.surroundings.isNeighbour(peer))
    );
  }

  /** With how many leases of others a claim is of use: only the first in the order try whether more are. */
  #worthClaiming(): number {
    return this.#components.surroundings.place() < MOST_LEASES ? MOST_LEASES : LIVE_LEASES;
  }

  #askCoordinator(now: number): void {
    const { coordinator, partners, announcer, surroundings, digest, size } = this.#components;
    const { first } = this.#part;
    const order = surroundings.order();
    const peer = this.#claimant.next(order, now);
    if (peer === undefined) return;
    this.#claimant.asked(peer, now);
    if (peer !== surroundings.self) {
      surroundings.wish({ kind: 'tell', peers: [peer], message: { type: 'claim', digest, size, first } });
      return;
    }
    const verdict = coordinator.claim(peer, first, now, order.length === 1, partners.isCrowd);
    if (partners.drawn(partners.draw(peer))) announcer.urge();
    if (verdict.kind === 'grant') this.#take(peer, verdict.segment, now);
    else this.refused(peer, verdict.fetching, now);
  }

  /** Takes what was granted, as far as it is free as seen from here: a coordinator may be new, mistaken or a liar. */
  #take(peer: string, [from, to]: Segment, now: number): void {
    const free = (index: number) =>
      index < this.#table.count &&
      !hasBit(this.#table.own.have, index) &&
      !this.#lease.covers(index) &&
      this.#mayTake(index, now);
    let first = from;
    while (first < to && !free(first)) first++;
    let end = first;
    while (end < to && free(end)) end++;
    if (first >= end) {
      this.#claimant.refused(peer, false, now);
      return;
    }
    this.#claimant.granted();
    // What this agent holds against itself is over where others do not.
    this.#table.barred.delete(this.#components.surroundings.self);
    if (this.#lease.add([first, end])) this.#wishUpstream([first, end]);
    this.#announce(now);
    // At once: whoever is refused meanwhile looks for the one that fetches.
    this.#components.announcer.urge();
  }

  #mayTake(index: number, now: number): boolean {
    const table = this.#table;
    const { self } = this.#components.surroundings;
    if (table.isOffered(index) && !this.#part.isForsaken) return false;
    if (table.others.size > 0) {
      if (table.own.leases.length > 0 && table.isLate(table.own, now)) {
        table.barred.add(self);
      }
      // What others know of it by now they take themselves.
      if (this.#lease.isHeld && !this.#isRangeless && table.barred.has(self)) return false;
    }
    const { order, place } = this.#components.surroundings;
    return !isTakenHigher(table, index, order, place, now);
  }

  /** What others have by now, or take themselves, is left to them where upstream is late with it. */
  #haltWhereLate(now: number): void {
    const { own } = this.#table;
    const { at } = this.#lease;
    if (this.#isHalted || at === undefined || !this.#table.isLate(own, now)) return;
    if (!this.#table.isOffered(at) && !this.#isTaken(at, now)) return;
    this.#isHalted = true;
    const { surroundings, digest } = this.#components;
    surroundings.wish({ kind: 'halt', digest });
  }

  /** Whether another takes the chunk. Without parts each begins with the first byte: it does once bytes of a chunk come to it. */
  #isTaken(index: number, now: number): boolean {
    const { order, place } = this.#components.surroundings;
    const peers = order();
    return this.#table.leases(now).some(({ peer, leases }) => {
      const { received = 0, leaseBytes = 0 } = this.#table.others.get(peer) ?? {};
      return isWithin(index, leases) && (!this.#isRangeless || received > leaseBytes || peers.indexOf(peer) < place());
    });
  }

  /** Nothing has come for long and nothing is under way: whoever says to have it does not give it. True where it acts. */
  #onOwnAccount(now: number): boolean {
    if (this.#lease.isHeld) return false;
    const segment = this.#ownAccount.next(now);
    if (segment === undefined) return false;
    this.#lease.add(segment);
    this.#wishUpstream(segment);
    this.#announce(now);
    return true;
  }

  #giveUp(now: number): void {
    const part = this.#part;
    if (part.isStuck || this.#lease.isHeld || !isHopeless(this.#table, part, now)) return;
    part.isStuck = true;
    const { surroundings, digest } = this.#components;
    surroundings.wish({ kind: 'stuck', digest });
  }

  #wishUpstream([from, to]: Segment): void {
    const { surroundings, digest } = this.#components;
    surroundings.wish({ kind: 'upstream', digest, from, to });
  }

  #announce(now: number): void {
    this.#note(now);
    this.#components.announcer.news();
  }

  /** What is taken, as all go by it from now on. */
  #note(now: number): void {
    const { own } = this.#table;
    this.#table.leased(own, this.#lease.segments, own.received, now);
  }
}
