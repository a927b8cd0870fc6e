import { clearBit, hasBit, setBit } from '../../../protocol/bitmap.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { MAX_NAMED } from '../../../protocol/messages.ts';
import { Announcer } from './announcer.ts';
import type { ChunkTimes } from './chunk-times.ts';
import { Claimant } from './claimant.ts';
import { Coordinator } from './coordinator.ts';
import { Lease } from './lease.ts';
import { LIVE_LEASES, MOST_LEASES } from './lease-count.ts';
import { MOST_LANES, newPart, type Part, type Wanted } from './part.ts';
import { CROWD, type Neighbourhood, Partners } from './partners.ts';
import { Requests } from './requests.ts';
import { Table, type TakingMessage } from './table.ts';
import { hasAll, isWithin, type Segment } from './taking.ts';
import type { Wish } from './wish.ts';

/** How long a pull may stand still, with nobody who could move it, before it takes matters in its own hands. ms */
const STANDSTILL = 5_000;

/** How long one waits for the next in the order to have taken matters in hand; and the longest wait, in turns. ms */
const TURN = 100;
const MOST_TURNS = 16;

/** How long a refused claimant of a crowd waits more, for each {@link CROWD} neighbours. ms */
const CROWD_PAUSE = 500;

/** Chunks taken on one's own account at a time, when it has come to that. */
const OWN_ACCOUNT = 4;

/** How long others who take the blob, but do not say what they do, are waited for when upstream is of no use. ms */
const OTHERS_PATIENCE = 5_000;

/** Who lacks chunks and has had none for so long will not have them of this agent. ms */
const UNWANTED_AFTER = 60_000;

export type { Wanted } from './part.ts';

/** Up to as many others, what one of them has need not be told of in haste. */
const FEW = 16;

/** How often a peer may not have what it told of: what it was asked for before it dropped the word of a liar. */
const MOST_MISSES = 16;

/** What became of a request for a chunk. */
export type Outcome = 'done' | 'busy' | 'cancelled' | 'useless' | 'missing' | 'failed';

/** What a share of a blob asks of the agent around it. */
export interface Surroundings extends Neighbourhood {
  /** How long chunks of whatever blob take from upstream. */
  readonly times: ChunkTimes;
  /** How long a coordinator may take to answer. ms */
  leaseTimeout(): number;
  wish(wish: Wish): void;
}

/** The rules for one blob, at one agent: what all do with it, whom it is taken from, who takes it from upstream. Pure. */
export class Share {
  readonly digest: Digest;
  /** null for a manifest whose size nobody knows. */
  readonly size: number | null;
  readonly table: Table;
  readonly #surroundings: Surroundings;
  readonly #coordinator: Coordinator;
  #claimant: Claimant;
  #requests: Requests;
  readonly #partners: Partners;
  #announcer = new Announcer();
  #lease = new Lease();
  /** Whether upstream gives no parts. */
  #isRangeless = false;
  /** Whether chunks came since the lease was begun. */
  #hasBrought = false;
  #part: Part | undefined;

  readonly #seed: number;
  readonly #misses = new Map<string, number>();

  constructor(digest: Digest, size: number | null, seed: number, surroundings: Surroundings, now: number) {
    this.digest = digest;
    this.size = size;
    const count = size === null ? 1 : layoutOf(size).count;
    this.#surroundings = surroundings;
    this.table = new Table(surroundings.self, count, now, surroundings.times);
    this.#coordinator = new Coordinator(this.table, surroundings.self);
    this.#claimant = new Claimant(() => surroundings.leaseTimeout());
    this.#seed = seed;
    this.#requests = new Requests(this.table, seed);
    this.#partners = new Partners(this.table, surroundings);
  }

  /** Whether nobody takes the blob any more, as far as is known here. */
  isOver(now: number): boolean {
    // A claim may be heard before the claimant is: what it was granted must not be forgotten between the two.
    return this.#part === undefined && this.table.others.size === 0 && this.#coordinator.waitsUntil < now;
  }

  get takesPart(): boolean {
    return this.#part !== undefined;
  }

  // What neighbours say.

  hear(peer: string, message: TakingMessage, now: number): void {
    if (!this.table.hear(peer, message, now)) return;
    this.#coordinator.announced(peer, message.leases);
  }

  left(peer: string): void {
    const wasFetching = (this.table.others.get(peer)?.leases.length ?? 0) > 0;
    this.table.drop(peer);
    this.#claimant.left(peer);
    // A manifest comes at once or not at all: were each to wait out its pause, a fleet would fail one host a second.
    if (this.size === null && wasFetching) this.#claimant.freed();
    this.#coordinator.left(peer);
    this.#partners.left(peer);
    this.#part?.holders.delete(peer);
  }

  claimed(peer: string, first: number, now: number): void {
    const verdict = this.#coordinator.claim(peer, first, now, false, this.#partners.isCrowd);
    const { digest } = this;
    const partners = this.#partners.draw(peer);
    // In a crowd who claims may not have heard that all of it is here.
    if (this.#part?.isWhole && this.#partners.isCrowd) this.#tell([peer], this.#part);
    this.#surroundings.wish({
      kind: 'tell',
      peers: [peer],
      message:
        verdict.kind === 'grant'
          ? { type: 'grant', digest, segment: [...verdict.segment], partners }
          : { type: 'refuse', digest, fetching: verdict.fetching.slice(0, MAX_NAMED), partners },
    });
  }

  granted(peer: string, segment: Segment, partners: readonly string[], now: number): void {
    if (this.#part === undefined || !this.#claimant.isAsked(peer)) return;
    if (this.#partners.drawn(partners)) this.#announcer.urge();
    this.#grant(peer, segment, now);
  }

  refused(peer: string, fetching: readonly string[], partners: readonly string[], now: number): void {
    if (!this.#claimant.isAsked(peer)) return;
    if (this.#partners.drawn(partners)) this.#announcer.urge();
    this.#claimant.refused(peer, this.#isFetching(fetching, now), now);
    // Had all of a crowd to hear of a lease that ended, they would be too many to tell.
    if (this.#partners.isCrowd)
      this.#claimant.wait(CROWD_PAUSE * (this.#surroundings.neighbours().length / CROWD), now);
  }

  /** Whether any of these fetches, as far as can be seen. In a crowd not all can: then for as long as one may take. */
  #isFetching(named: readonly string[], now: number): boolean {
    if (this.table.leases(now).some(({ peer }) => named.includes(peer))) return true;
    if (!this.#partners.isCrowd || this.#part === undefined) return false;
    const patience = Math.max(STANDSTILL, this.table.times.patience);
    return now - this.#part.gainedAt < patience && named.some((peer) => this.#surroundings.isNeighbour(peer));
  }

  /** A neighbour has come: it must know what is taken before it claims. */
  came(peer: string): void {
    if (this.#part !== undefined && !this.#partners.isCrowd) this.#tell([peer], this.#part);
  }

  // What this agent does.

  /** This agent takes the blob from now on. */
  join(wanted: Wanted, now: number): void {
    const { count } = this.table;
    this.#forgetOwn(now);
    this.#part = newPart(wanted, count, now);
    this.#announcer.urge();
    this.table.takesPart = true;
    for (let index = 0; index < count; index++) if (hasBit(wanted.have, index)) this.table.ownChunk(index, now);
  }

  /** It takes it no more. */
  leave(now: number): void {
    if (this.#part === undefined) return;
    this.#part = undefined;
    this.table.takesPart = false;
    this.#forgetOwn(now);
    const { digest } = this;
    this.#surroundings.wish({ kind: 'tell', peers: this.#partners.told, message: { type: 'left', digest } });
  }

  /** Whatever this agent took, asked for and was granted is over: what comes next begins anew. */
  #forgetOwn(now: number): void {
    this.table.resetOwn(now);
    this.#coordinator.left(this.#surroundings.self);
    this.#claimant = new Claimant(() => this.#surroundings.leaseTimeout());
    this.#requests = new Requests(this.table, this.#seed);
    this.#announcer = new Announcer();
    this.#lease = new Lease();
    this.#isRangeless = false;
    this.#hasBrought = false;
  }

  /** A chunk is there. @param vouched what others may go by: a mark that goes on with it, or the chunk map in use */
  took(index: number, vouched: 'mark' | 'map', now: number): void {
    const part = this.#part;
    if (part === undefined) return;
    setBit(vouched === 'mark' ? part.marked : part.mapped, index);
    this.table.ownChunk(index, now);
    this.#lease.advance((each) => hasBit(this.table.own.have, each));
    part.gainedAt = now;
    part.isStuck = false;
    this.table.leased(this.table.own, this.#lease.segments, this.table.own.received, now);
    // Among few, whoever brought it to the LAN can give it to all, and each message is one to each of them.
    if ((this.table.rarity[index] as number) > 0 && this.table.others.size <= FEW) this.#announcer.remark();
    else this.#announcer.news();
    for (const peer of this.#requests.peersAskedFor(index)) {
      this.#surroundings.wish({ kind: 'cancel', digest: this.digest, peer, index });
    }
  }

  /**
   * A request has ended. `useless`: the chunk is not asked of this peer until it tells of it again; `missing`: nor was it
   * there, which may be said a few times, since what is dropped may have been asked for before; `failed`: this peer is
   * not asked for this blob again.
   */
  answered(peer: string, index: number, outcome: Outcome, now: number): void {
    this.#requests.ended(peer, index, outcome === 'done' || outcome === 'busy' ? outcome : 'failed', now);
    if (outcome === 'missing' || outcome === 'useless') this.table.lacks(peer, index);
    if (outcome === 'missing' && this.#missed(peer) > MOST_MISSES) this.distrust(peer);
    if (outcome === 'done' && this.#part !== undefined) this.#part.isForsaken = false;
    if (outcome === 'failed') this.distrust(peer);
  }

  /** Whether what a peer says of this blob counts no longer. */
  isDistrusted(peer: string): boolean {
    return this.table.isIgnored(peer);
  }

  /** How often a peer has not had what it said to have. */
  #missed(peer: string): number {
    const misses = (this.#misses.get(peer) ?? 0) + 1;
    this.#misses.set(peer, misses);
    return misses;
  }

  /** What a peer says of this blob counts no longer. */
  distrust(peer: string): void {
    this.table.ignore(peer);
    this.#part?.holders.delete(peer);
  }

  /** Chunks turned out false. */
  forget(indexes: Iterable<number>): void {
    const part = this.#part;
    if (part === undefined) return;
    for (const index of indexes) {
      clearBit(part.marked, index);
      clearBit(part.mapped, index);
      this.table.ownForgets(index);
    }
    this.#announcer.news();
  }

  /** The chunk map with this root is used from now on, and these neighbours hold what it describes. */
  use(root: Uint8Array | undefined, holders: Iterable<string>): void {
    const part = this.#part;
    if (part === undefined) return;
    if (part.root !== root) part.mapped.fill(0);
    part.root = root;
    part.holders.clear();
    for (const peer of holders) part.holders.add(peer);
    this.table.trust(root);
    part.isStuck = false;
  }

  /** The look-up for holders is over. */
  searched(): void {
    if (this.#part !== undefined) this.#part.searchUntil = Number.NEGATIVE_INFINITY;
  }

  /** A holder was found, and its chunk map is asked for: upstream is left alone until then. ms */
  searching(until: number): void {
    if (this.#part !== undefined) this.#part.searchUntil = until;
  }

  /** Upstream gives no parts: what is being taken is everything from there on. */
  noRange(): void {
    this.#isRangeless = true;
    this.#lease.extend(this.table.count);
  }

  /** Nobody who takes the blob too can be trusted: it is taken from upstream, by this agent alone. */
  alone(): void {
    this.table.ignoreAll();
    this.#part?.holders.clear();
    if (this.#part !== undefined) this.#part.isForsaken = true;
  }

  /** How the client reads it. @param first the chunk it waits for @param streams whether it sees chunks of peers at once */
  reading(lanes: number, first: number, streams: boolean): void {
    if (this.#part !== undefined) Object.assign(this.#part, { lanes: Math.min(lanes, MOST_LANES), first, streams });
  }

  upstreamBytes(bytes: number, now: number): void {
    const { own } = this.table;
    this.#hasBrought ||= bytes > 0;
    this.table.leased(own, own.leases, own.received + bytes, now);
  }

  /**
   * The taking from upstream is over, and whatever chunks it brought were told of by {@link took}: one that is not would
   * be taken again. @param isUsable whether upstream is worth asking again
   */
  upstreamEnded(isUsable: boolean, now: number): void {
    const part = this.#part;
    if (part === undefined) return;
    part.upstreamUsable = isUsable;
    if (!isUsable) this.#lease.dropNext();
    this.#claimant.ended(this.#hasBrought, now);
    this.#hasBrought = false;
    const next = this.#lease.end();
    if (next !== undefined) this.#wishUpstream(next);
    this.#announceLeases(now);
  }

  /**
   * Whether chunk `index` is still to be taken from upstream: not where somebody has it by now, or where somebody higher
   * in the order takes it too, or where others have come and an open-ended lease is at its end. Where it is not, the
   * lease ends before it.
   */
  goesOn(index: number, now: number): boolean {
    // Others have come: an open-ended lease ends where it was said to, and they are granted what lies behind.
    if (this.table.others.size > 0) this.#lease.close();
    const goes = this.#part !== undefined && !this.#lease.isBehind(index) && this.#mayTake(index, now);
    if (!goes) this.#lease.cut(index);
    return goes;
  }

  /** All chunks are there and the whole has matched: from here on only others take. */
  completed(): void {
    if (this.#part === undefined) return;
    this.#part.isWhole = true;
    this.#announcer.news();
  }

  /** Does what is due: announces, claims, asks. */
  decide(now: number): void {
    this.table.review(now);
    const part = this.#part;
    if (part === undefined) return;
    if (part.isWhole) {
      if (!this.#isNeeded() || now - this.table.gainedAt > UNWANTED_AFTER) {
        this.leave(now);
        return;
      }
    } else {
      this.#ask(part, now);
      this.#claim(part, now);
    }
    this.#announce(part, now);
  }

  /** When {@link decide} has something to do, if nothing happens before. */
  dueAt(now: number): number {
    const part = this.#part;
    if (part === undefined) {
      const { waitsUntil } = this.#coordinator;
      return Math.min(this.table.reviewAt, waitsUntil < now ? Number.POSITIVE_INFINITY : waitsUntil + 1);
    }
    const announce = this.#announcer.dueAt;
    if (part.isWhole) return Math.min(announce, this.table.reviewAt);
    const due = [
      announce,
      this.#requests.dueAt(now),
      this.#claimant.dueAt,
      part.searchUntil,
      this.#standsStillAt(part),
    ];
    return Math.min(this.table.reviewAt, ...due.filter((at) => at > now));
  }

  #mayTake(index: number, now: number): boolean {
    const { table } = this;
    if (table.isOffered(index) && !this.#part?.isForsaken) return false;
    if (table.others.size > 0) {
      if (table.own.leases.length > 0 && table.isLate(table.own, now)) {
        table.barred.add(this.#surroundings.self);
      }
      // What others know of it by now they take themselves.
      if (this.#lease.isHeld && !this.#isRangeless && table.barred.has(this.#surroundings.self)) return false;
    }
    return !this.#isTakenHigher(index, now);
  }

  /** Whether a live lease of somebody higher in the order covers the chunk. */
  #isTakenHigher(index: number, now: number): boolean {
    const rivals = this.table.leases(now).filter(({ leases }) => isWithin(index, leases));
    if (rivals.length === 0) return false;
    const order = this.#surroundings.order();
    const own = this.#surroundings.place();
    return rivals.some(({ peer }) => order.indexOf(peer) < own);
  }

  #ask(part: Part, now: number): void {
    const asked = this.#requests.next({ ...part, isLeased: (index) => this.#lease.covers(index) }, now);
    for (const { peer, index } of asked) {
      this.#surroundings.wish({ kind: 'take', digest: this.digest, peer, index });
    }
    // Who waits for what others take from upstream does not stand still: at 3 Mbit a chunk takes them ten seconds.
    const isOffered = this.#requests.count > 0 || this.#requests.isOffered;
    part.offeredAt = isOffered ? Math.min(part.offeredAt, now) : Number.POSITIVE_INFINITY;
  }

  #claim(part: Part, now: number): void {
    if (!part.upstreamUsable) {
      this.#giveUp(part, now);
      return;
    }
    if (now < part.searchUntil || (this.#lease.isHeld && !this.#lease.isRunningOut)) return;
    if (this.#onOwnAccount(part, now)) return;
    if (this.table.leases(now).length >= this.#worthClaiming() || this.#uncovered(part, now) === undefined) return;
    this.#askCoordinator(part, now);
  }

  /** With how many leases of others a claim is of use: only the first in the order try whether more are. */
  #worthClaiming(): number {
    return this.#surroundings.place() < MOST_LEASES ? MOST_LEASES : LIVE_LEASES;
  }

  #askCoordinator({ first }: Part, now: number): void {
    const order = this.#surroundings.order();
    const peer = this.#claimant.next(order, now);
    if (peer === undefined) return;
    this.#claimant.asked(peer, now);
    if (peer !== this.#surroundings.self) {
      const { digest, size } = this;
      this.#surroundings.wish({ kind: 'tell', peers: [peer], message: { type: 'claim', digest, size, first } });
      return;
    }
    const verdict = this.#coordinator.claim(peer, first, now, order.length === 1, this.#partners.isCrowd);
    const partners = this.#partners.draw(peer);
    if (this.#partners.drawn(partners)) this.#announcer.urge();
    if (verdict.kind === 'grant') this.#grant(peer, verdict.segment, now);
    else this.refused(peer, verdict.fetching, partners, now);
  }

  /** Takes what was granted, as far as it is free as seen from here: a coordinator may be new, mistaken or a liar. */
  #grant(peer: string, [from, to]: Segment, now: number): void {
    const free = (index: number) =>
      index < this.table.count &&
      !hasBit(this.table.own.have, index) &&
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
    this.table.barred.delete(this.#surroundings.self);
    if (this.#lease.add([first, end])) this.#wishUpstream([first, end]);
    this.#announceLeases(now);
    // At once: whoever is refused meanwhile looks for the one that fetches.
    this.#announcer.urge();
  }

  /** A chunk that is missing, that nobody has, and that nobody takes from upstream. */
  #uncovered(part: Part, now: number): number | undefined {
    const { own, count } = this.table;
    if (part.holders.size > 0) return undefined;
    const live = this.table.leases(now);
    for (let index = 0; index < count; index++) {
      if (hasBit(own.have, index) || this.table.isOffered(index) || this.#lease.covers(index)) continue;
      if (!live.some(({ leases }) => isWithin(index, leases))) return index;
    }
    return undefined;
  }

  /** Nothing has come for long and nothing is under way: whoever says to have it does not give it. True where it acts. */
  #onOwnAccount(part: Part, now: number): boolean {
    if (this.#requests.count > 0 || this.#lease.isHeld) return false;
    part.isForsaken ||= now >= this.#standsStillAt(part);
    if (!part.isForsaken) return false;
    const { own, count } = this.table;
    const live = this.table.leases(now);
    const isOpen = (index: number) => !hasBit(own.have, index) && !live.some(({ leases }) => isWithin(index, leases));
    let from = 0;
    while (from < count && !isOpen(from)) from++;
    if (from === count) return false;
    let to = from + 1;
    while (to < Math.min(count, from + OWN_ACCOUNT) && isOpen(to)) to++;
    this.#lease.add([from, to]);
    this.#wishUpstream([from, to]);
    this.#announceLeases(now);
    return true;
  }

  /** One after the other: who comes first tells the others what it takes. */
  #standsStillAt({ gainedAt, offeredAt }: Part): number {
    const turn = Math.min(this.#surroundings.place(), MOST_TURNS);
    return Math.max(gainedAt, offeredAt) + STANDSTILL + turn * TURN;
  }

  /** With upstream of no use and nobody who has, takes or may take what is missing, there is nothing to wait for. */
  #giveUp(part: Part, now: number): void {
    if (part.isStuck || now < part.searchUntil || this.#requests.count > 0 || this.#lease.isHeld) return;
    if (part.holders.size > 0 || this.table.leases(now).length > 0) return;
    const { own, rarity, count, others } = this.table;
    for (let index = 0; index < count; index++) {
      if (!hasBit(own.have, index) && (rarity[index] as number) > 0) return;
    }
    if (others.size > 0 && now - part.gainedAt < OTHERS_PATIENCE) return;
    part.isStuck = true;
    this.#surroundings.wish({ kind: 'stuck', digest: this.digest });
  }

  #wishUpstream([from, to]: Segment): void {
    this.#surroundings.wish({ kind: 'upstream', digest: this.digest, from, to });
  }

  #announceLeases(now: number): void {
    const { own } = this.table;
    this.table.leased(own, this.#lease.segments, own.received, now);
    this.#announcer.news();
  }

  #announce(part: Part, now: number): void {
    if (!this.#announcer.turn(now)) return;
    const peers = this.#partners.told;
    if (peers.length > 0) this.#tell(peers, part);
  }

  #tell(peers: readonly string[], part: Part): void {
    const { digest, size } = this;
    const message = this.#announcer.message({ ...part, digest, size, own: this.table.own });
    this.#surroundings.wish({ kind: 'tell', peers, message });
  }

  /** Whether anybody still lacks what this agent has. */
  #isNeeded(): boolean {
    for (const { have } of this.table.others.values()) if (!hasAll(have, this.table.count)) return true;
    return false;
  }
}
