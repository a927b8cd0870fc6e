import { clearBit, hasBit, setBit } from '../../../protocol/bitmap.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { MAX_NAMED } from '../../../protocol/messages.ts';
import { Announcer } from './announcer.ts';
import type { ChunkTimes } from './chunk-times.ts';
import { Coordinator } from './coordinator.ts';
import { Leasing, type LeasingSurroundings } from './leasing.ts';
import { MOST_LANES, newPart, type Part, type Wanted } from './part.ts';
import { Partners } from './partners.ts';
import { Requests } from './requests.ts';
import { Table, type TakingMessage } from './table.ts';
import { hasAll, type Segment } from './taking.ts';

/** Who lacks chunks and has had none for so long will not have them of this agent. ms */
const UNWANTED_AFTER = 60_000;

/**
 * Who has just completed a blob is still taken from as one that takes it, until all have heard that it is held: in
 * between nobody would know of it, and whoever began to take it would go upstream. Inventories tell within 50 ms. ms
 */
const KNOWN_AFTER = 250;

/** Up to as many others, what one of them has need not be told of in haste. */
const FEW = 16;

/** How often a peer may not have what it told of: what it was asked for before it dropped the word of a liar. */
const MOST_MISSES = 16;

export type { Wanted } from './part.ts';

/** What became of a request for a chunk. */
export type Outcome = 'done' | 'busy' | 'cancelled' | 'useless' | 'missing' | 'failed';

/** What a share of a blob asks of the agent around it. */
export interface Surroundings extends LeasingSurroundings {
  /** How long chunks of whatever blob take from upstream. */
  readonly times: ChunkTimes;
}

/** What this agent does about a blob, from when it joins until it leaves. */
interface Own {
  readonly part: Part;
  readonly requests: Requests;
  readonly leasing: Leasing;
  readonly announcer: Announcer;
}

/** The rules for one blob, at one agent: what all do with it, whom it is taken from, who takes it from upstream. Pure. */
export class Share {
  readonly digest: Digest;
  /** null for a manifest whose size nobody knows. */
  readonly size: number | null;
  readonly table: Table;
  readonly #surroundings: Surroundings;
  readonly #coordinator: Coordinator;
  readonly #partners: Partners;
  readonly #seed: number;
  readonly #misses = new Map<string, number>();
  #own: Own | undefined;

  constructor(digest: Digest, size: number | null, seed: number, surroundings: Surroundings, now: number) {
    this.digest = digest;
    this.size = size;
    const count = size === null ? 1 : layoutOf(size).count;
    this.#surroundings = surroundings;
    this.table = new Table(surroundings.self, count, now, surroundings.times);
    this.#coordinator = new Coordinator(this.table, surroundings.self);
    this.#seed = seed;
    this.#partners = new Partners(this.table, surroundings);
  }

  /** Whether nobody takes the blob any more, as far as is known here. */
  isOver(now: number): boolean {
    // A claim may be heard before the claimant is: what it was granted must not be forgotten between the two.
    return this.#own === undefined && this.table.others.size === 0 && this.#coordinator.waitsUntil < now;
  }

  get takesPart(): boolean {
    return this.#own !== undefined;
  }

  // What neighbours say.

  hear(peer: string, message: TakingMessage, now: number): void {
    if (!this.table.hear(peer, message, now)) return;
    this.#coordinator.announced(peer, message.leases);
  }

  left(peer: string): void {
    const wasFetching = (this.table.others.get(peer)?.leases.length ?? 0) > 0;
    this.table.drop(peer);
    this.#own?.leasing.left(peer, wasFetching);
    this.#coordinator.left(peer);
    this.#partners.left(peer);
    this.#own?.part.holders.delete(peer);
  }

  claimed(peer: string, first: number, now: number): void {
    const verdict = this.#coordinator.claim(peer, first, now, false, this.#partners.isCrowd);
    const { digest } = this;
    const partners = this.#partners.draw(peer);
    // In a crowd who claims may not have heard that all of it is here.
    if (this.#own?.part.isWhole && this.#partners.isCrowd) this.#tell([peer], this.#own);
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
    const own = this.#answeredBy(peer, partners);
    own?.leasing.granted(peer, segment, now);
  }

  refused(peer: string, fetching: readonly string[], partners: readonly string[], now: number): void {
    const own = this.#answeredBy(peer, partners);
    own?.leasing.refused(peer, fetching, now);
  }

  /** This agent's own part, where it has asked `peer` for a lease: nobody else's answer counts. */
  #answeredBy(peer: string, partners: readonly string[]): Own | undefined {
    const own = this.#own;
    if (own === undefined || !own.leasing.isAsked(peer)) return undefined;
    if (this.#partners.drawn(partners)) own.announcer.urge();
    return own;
  }

  /** A neighbour has come: it must know what is taken before it claims. */
  came(peer: string): void {
    if (this.#own !== undefined && !this.#partners.isCrowd) this.#tell([peer], this.#own);
  }

  // What this agent does.

  /** This agent takes the blob from now on. */
  join(wanted: Wanted, now: number): void {
    const { digest, size, table } = this;
    this.#forgetOwn(now);
    const part = newPart(wanted, table.count, now);
    const announcer = new Announcer();
    const leasing = new Leasing(
      {
        digest,
        size,
        table,
        coordinator: this.#coordinator,
        partners: this.#partners,
        announcer,
        surroundings: this.#surroundings,
      },
      part,
    );
    this.#own = { part, requests: new Requests(table, this.#seed), leasing, announcer };
    table.takesPart = true;
    for (let index = 0; index < table.count; index++) if (hasBit(wanted.have, index)) table.ownChunk(index, now);
  }

  /** It takes it no more. */
  leave(now: number): void {
    if (this.#own === undefined) return;
    this.#own = undefined;
    this.table.takesPart = false;
    this.#forgetOwn(now);
    const { digest } = this;
    this.#surroundings.wish({ kind: 'tell', peers: this.#partners.told, message: { type: 'left', digest } });
  }

  /** Whatever this agent took and was granted is over: what comes next begins anew. */
  #forgetOwn(now: number): void {
    this.table.resetOwn(now);
    this.#coordinator.left(this.#surroundings.self);
  }

  /** A chunk is there. @param vouched what others may go by: a mark that goes on with it, or the chunk map in use */
  took(index: number, vouched: 'mark' | 'map', now: number): void {
    if (this.#own === undefined) return;
    const { part, requests, leasing, announcer } = this.#own;
    setBit(vouched === 'mark' ? part.marked : part.mapped, index);
    this.table.ownChunk(index, now);
    part.gainedAt = now;
    part.isStuck = false;
    leasing.advanced(now);
    // Among few, whoever brought it to the LAN can give it to all, and each message is one to each of them.
    if ((this.table.rarity[index] as number) > 0 && this.table.others.size <= FEW) announcer.remark();
    else announcer.news();
    for (const peer of requests.peersAskedFor(index)) {
      this.#surroundings.wish({ kind: 'cancel', digest: this.digest, peer, index });
    }
  }

  /**
   * A request has ended. `useless`: the chunk is not asked of this peer until it tells of it again; `missing`: nor was it
   * there, which may be said a few times, since what is dropped may have been asked for before; `failed`: this peer is
   * not asked for this blob again.
   */
  answered(peer: string, index: number, outcome: Outcome, now: number): void {
    this.#own?.requests.ended(peer, index, outcome === 'done' || outcome === 'busy' ? outcome : 'failed', now);
    if (outcome === 'missing' || outcome === 'useless') this.table.lacks(peer, index);
    if (outcome === 'missing' && this.#missed(peer) > MOST_MISSES) this.distrust(peer);
    if (outcome === 'done' && this.#own !== undefined) this.#own.part.isForsaken = false;
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
    this.#own?.part.holders.delete(peer);
  }

  /** Chunks turned out false. */
  forget(indexes: Iterable<number>): void {
    if (this.#own === undefined) return;
    const { part, announcer } = this.#own;
    for (const index of indexes) {
      clearBit(part.marked, index);
      clearBit(part.mapped, index);
      this.table.ownForgets(index);
    }
    announcer.news();
  }

  /** The chunk map with this root is used from now on, and these neighbours hold what it describes. */
  use(root: Uint8Array | undefined, holders: Iterable<string>): void {
    const part = this.#own?.part;
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
    this.searching(Number.NEGATIVE_INFINITY);
  }

  /** A holder was found, and its chunk map is asked for: upstream is left alone until then. ms */
  searching(until: number): void {
    if (this.#own !== undefined) this.#own.part.searchUntil = until;
  }

  /** Upstream gives no parts: what is being taken is everything from there on. */
  noRange(): void {
    this.#own?.leasing.noRange();
  }

  /** Nobody who takes the blob too can be trusted: it is taken from upstream, by this agent alone. */
  alone(): void {
    this.table.ignoreAll();
    this.#own?.part.holders.clear();
    if (this.#own !== undefined) this.#own.part.isForsaken = true;
  }

  /** How the client reads it. @param first the chunk it waits for @param streams whether it sees chunks of peers at once */
  reading(lanes: number, first: number, streams: boolean): void {
    if (this.#own !== undefined) Object.assign(this.#own.part, { lanes: Math.min(lanes, MOST_LANES), first, streams });
  }

  upstreamBytes(bytes: number, now: number): void {
    this.#own?.leasing.received(bytes, now);
  }

  /**
   * The taking from upstream is over, and whatever chunks it brought were told of by {@link took}: one that is not would
   * be taken again. @param isUsable whether upstream is worth asking again
   */
  upstreamEnded(isUsable: boolean, now: number): void {
    this.#own?.leasing.ended(isUsable, now);
  }

  /**
   * Whether chunk `index` is still to be taken from upstream: not where somebody has it by now, or where somebody higher
   * in the order takes it too, or where others have come and an open-ended lease is at its end. Where it is not, the
   * lease ends before it.
   */
  goesOn(index: number, now: number): boolean {
    return this.#own?.leasing.goesOn(index, now) ?? false;
  }

  /** All chunks are there and the whole has matched: from here on only others take. */
  completed(now: number): void {
    if (this.#own === undefined) return;
    this.#own.part.isWhole = true;
    this.#own.part.wholeAt = now;
    this.#own.announcer.news();
  }

  /** Does what is due: announces, claims, asks. */
  decide(now: number): void {
    this.table.review(now);
    const own = this.#own;
    if (own === undefined) return;
    if (own.part.isWhole) {
      const isKnown = now >= own.part.wholeAt + KNOWN_AFTER;
      if ((isKnown && !this.#isNeeded()) || now - this.table.gainedAt > UNWANTED_AFTER) {
        this.leave(now);
        return;
      }
    } else {
      this.#ask(own, now);
      own.leasing.decide(own.requests.count > 0, now);
    }
    this.#announce(own, now);
  }

  /** When {@link decide} has something to do, if nothing happens before. */
  dueAt(now: number): number {
    if (this.#own === undefined) {
      const { waitsUntil } = this.#coordinator;
      return Math.min(this.table.reviewAt, waitsUntil < now ? Number.POSITIVE_INFINITY : waitsUntil + 1);
    }
    const { part, announcer, requests, leasing } = this.#own;
    if (part.isWhole) {
      const knownAt = part.wholeAt + KNOWN_AFTER;
      return Math.min(announcer.dueAt, this.table.reviewAt, knownAt > now ? knownAt : Number.POSITIVE_INFINITY);
    }
    const due = [announcer.dueAt, requests.dueAt(now), ...leasing.dueAt];
    return Math.min(this.table.reviewAt, ...due.filter((at) => at > now));
  }

  #ask({ part, requests, leasing }: Own, now: number): void {
    const asked = requests.next(
      { ...part, isLeased: (index) => leasing.covers(index), isArriving: (index) => leasing.isAt(index) },
      now,
    );
    for (const { peer, index } of asked) {
      this.#surroundings.wish({ kind: 'take', digest: this.digest, peer, index });
    }
    // Who waits for what others take from upstream does not stand still: at 3 Mbit a chunk takes them ten seconds.
    const isOffered = requests.count > 0 || requests.isOffered;
    part.offeredAt = isOffered ? Math.min(part.offeredAt, now) : Number.POSITIVE_INFINITY;
  }

  #announce(own: Own, now: number): void {
    if (!own.announcer.turn(now)) return;
    const peers = this.#partners.told;
    if (peers.length > 0) this.#tell(peers, own);
  }

  #tell(peers: readonly string[], { part, announcer }: Own): void {
    const { digest, size } = this;
    const message = announcer.message({ ...part, digest, size, own: this.table.own });
    this.#surroundings.wish({ kind: 'tell', peers, message });
  }

  /** Whether anybody still lacks what this agent has. */
  #isNeeded(): boolean {
    for (const { have } of this.table.others.values()) if (!hasAll(have, this.table.count)) return true;
    return false;
  }
}
