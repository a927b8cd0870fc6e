import { clearBit, fullBitmap, setBit, union } from '../../../protocol/bitmap.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { Announcer } from './announcer.ts';
import type { Coordinator } from './coordinator.ts';
import { Leasing, type LeasingSurroundings } from './leasing.ts';
import { Mistrust, type Outcome } from './mistrust.ts';
import { MOST_LANES, newPart, type Part, type Wanted } from './part.ts';
import type { Partners } from './partners.ts';
import { Requests } from './requests.ts';
import { Search } from './search.ts';
import type { Table } from './table.ts';
import type { Segment } from './taking.ts';

/** Who lacks chunks and has had none for so long will not have them of this agent. ms */
const UNWANTED_AFTER = 60_000;

/**
 * Who has just completed a blob is still taken from as one that takes it, until all have heard that it is held: in
 * between nobody would know of it, and whoever began to take it would go upstream. Inventories tell within 50 ms. ms
 */
const KNOWN_AFTER = 250;

/** What this agent's part rests on: all of it the share's. */
export interface OwnPartComponents {
  readonly digest: Digest;
  /** null for a manifest whose size nobody knows. */
  readonly size: number | null;
  readonly table: Table;
  readonly coordinator: Coordinator;
  readonly partners: Partners;
  readonly surroundings: LeasingSurroundings;
  /** How often a peer has not had what it said to have: they outlast this part. */
  readonly misses: Map<string, number>;
  readonly seed: number;
}

/** What this agent does about a blob, from when it joins until it leaves. Pure; times in ms. */
export class OwnPart {
  readonly #components: OwnPartComponents;
  readonly #table: Table;
  readonly #part: Part;
  readonly #requests: Requests;
  readonly #leasing: Leasing;
  readonly #announcer: Announcer;
  readonly #search: Search;
  readonly #mistrust: Mistrust;

  constructor(components: OwnPartComponents, wanted: Wanted, now: number) {
    const { table, seed } = components;
    this.#components = components;
    this.#table = table;
    this.#announcer = new Announcer(seed);
    this.#part = newPart(wanted, table.count, now);
    this.#search = new Search(wanted.searchUntil);
    this.#mistrust = new Mistrust({ ...components, part: this.#part });
    this.#gives();
    this.#leasing = new Leasing({ ...components, announcer: this.#announcer }, this.#part);
    this.#requests = new Requests(table, seed);
    if (wanted.asked !== undefined) this.#requests.began(wanted.asked, now);
  }

  /** Whether all of the blob is here. */
  get isWhole(): boolean {
    return this.#part.isWhole;
  }

  /** Who else takes the blob. */
  get takers(): string[] {
    return [...this.#table.others.keys()];
  }

  /** Whether a neighbour takes the blob from upstream. */
  isFetching(peer: string): boolean {
    return (this.#table.others.get(peer)?.leases.length ?? 0) > 0;
  }

  // What neighbours say to it.

  granted(peer: string, segment: Segment, partners: readonly string[], now: number): void {
    if (this.#isAnsweredBy(peer, partners)) this.#leasing.granted(peer, segment, now);
  }

  refused(peer: string, fetching: readonly string[], partners: readonly string[], now: number): void {
    if (this.#isAnsweredBy(peer, partners)) this.#leasing.refused(peer, fetching, now);
  }

  /** Whether it has asked `peer` for a lease: nobody else's answer counts. */
  #isAnsweredBy(peer: string, partners: readonly string[]): boolean {
    if (!this.#leasing.isAsked(peer)) return false;
    if (this.#components.partners.drawn(partners)) this.#announcer.urge();
    return true;
  }

  /** @param wasFetching whether it took the blob from upstream */
  left(peer: string, wasFetching: boolean): void {
    this.#leasing.left(peer, wasFetching);
    this.#part.holders.delete(peer);
  }

  // What becomes of it.

  /** A chunk is there. @param vouched what others may go by: a mark that goes on with it, or the chunk map in use */
  took(index: number, vouched: 'mark' | 'map', now: number): void {
    setBit(vouched === 'mark' ? this.#part.marked : this.#part.mapped, index);
    this.#gives();
    this.#table.ownChunk(index, now);
    this.#part.gainedAt = now;
    this.#part.isStuck = false;
    this.#leasing.advanced(now);
    // Others have it too, and each message is one to each neighbour: with fifty they would cost more than the chunk.
    if ((this.#table.rarity[index] as number) > 0) this.#announcer.remark();
    else this.#announcer.news();
    for (const peer of this.#requests.peersAskedFor(index)) {
      this.#components.surroundings.wish({ kind: 'cancel', digest: this.#components.digest, peer, index });
    }
  }

  /**
   * A request has ended. `useless`: the chunk is not asked of this peer until it tells of it again; `missing`: nor was it
   * there, which may be said a few times, since what is dropped may have been asked for before; `failed`: this peer is
   * not asked for this blob again.
   */
  answered(peer: string, index: number, outcome: Outcome, now: number): void {
    this.#requests.ended(peer, index, outcome === 'done' || outcome === 'busy' ? outcome : 'failed', now);
    this.#mistrust.answered(peer, index, outcome);
    if (outcome === 'done') this.#part.isForsaken = false;
  }

  /** Whether what a peer says of this blob counts no longer. */
  isDistrusted(peer: string): boolean {
    return this.#table.isIgnored(peer);
  }

  /** Chunks turned out false. */
  forget(indexes: Iterable<number>): void {
    for (const index of indexes) {
      clearBit(this.#part.marked, index);
      clearBit(this.#part.mapped, index);
      this.#table.ownForgets(index);
    }
    this.#gives();
    this.#announcer.news();
  }

  /** The chunk map with this root is used from now on, and these neighbours hold what it describes. */
  use(root: Uint8Array | undefined, holders: Iterable<string>): void {
    const part = this.#part;
    if (part.root !== root) part.mapped.fill(0);
    part.root = root;
    this.#gives();
    part.holders.clear();
    for (const peer of holders) part.holders.add(peer);
    this.#table.trust(root);
    part.isStuck = false;
  }

  /** The look-up for holders is over. */
  searched(): void {
    this.#search.ended();
    this.#searches();
  }

  /** A holder was found, and its chunk map is asked for: upstream is left alone meanwhile; see {@link Search}. */
  asksMap(now: number): void {
    this.#search.asks(now);
    this.#searches();
  }

  /** The map is there, or will not come. */
  mapAnswered(now: number): void {
    this.#search.answered(now);
    this.#searches();
  }

  /** A holder was found just as a lease was granted. True where the lease was left for it; false where it is to be taken. */
  leavesLease(now: number): boolean {
    const isLeft = this.#search.leaves(now);
    this.#searches();
    if (isLeft) this.upstreamEnded(true, now);
    return isLeft;
  }

  #searches(): void {
    this.#part.searchUntil = this.#search.until;
    // Who had given up looks anew, and says so anew.
    this.#part.isStuck = false;
  }

  /** Upstream gives no parts: what is being taken is everything from there on. */
  noRange(): void {
    this.#leasing.noRange();
  }

  /** Nobody who takes the blob too can be trusted: it is taken from upstream, by this agent alone. */
  alone(): void {
    this.#table.ignoreAll();
    this.#part.holders.clear();
    this.#part.isForsaken = true;
  }

  /** How the client reads it. @param first the chunk it waits for @param streams whether it sees chunks of peers at once */
  reading(lanes: number, first: number, streams: boolean): void {
    Object.assign(this.#part, { lanes: Math.min(lanes, MOST_LANES), first, streams });
  }

  upstreamBytes(bytes: number, now: number): void {
    this.#leasing.received(bytes, now);
  }

  /**
   * The taking from upstream is over, and whatever chunks it brought were told of by {@link took}: one that is not would
   * be taken again. @param isUsable whether upstream is worth asking again
   */
  upstreamEnded(isUsable: boolean, now: number): void {
    this.#leasing.ended(isUsable, now);
  }

  /**
   * Whether chunk `index` is still to be taken from upstream: not where somebody has it by now, or where somebody higher
   * in the order takes it too, or where others have come and an open-ended lease is at its end. Where it is not, the
   * lease ends before it.
   */
  goesOn(index: number, now: number): boolean {
    return this.#leasing.goesOn(index, now);
  }

  /** All chunks are there and the whole has matched, so that this agent vouches for each: from here on only others take. */
  completed(now: number): void {
    this.#part.marked.set(fullBitmap(this.#table.count));
    this.#gives();
    this.#part.isWhole = true;
    this.#part.wholeAt = now;
    this.#announcer.news();
  }

  /** Whether nobody is helped any more by what is here. */
  isUnwanted(now: number): boolean {
    if (!this.#part.isWhole) return false;
    const isKnown = now >= this.#part.wholeAt + KNOWN_AFTER;
    return (isKnown && !this.#isNeeded()) || now - this.#table.gainedAt > UNWANTED_AFTER;
  }

  /** Does what is due: announces, claims, asks. */
  decide(now: number): void {
    if (!this.#part.isWhole) {
      this.#ask(now);
      this.#leasing.decide(this.#requests.count > 0, now);
    }
    this.#announce(now);
  }

  /** When {@link decide} or {@link isUnwanted} has something to say, if nothing happens before. */
  dueAt(now: number): number {
    if (this.#part.isWhole) {
      const knownAt = this.#part.wholeAt + KNOWN_AFTER;
      return Math.min(this.#announcer.dueAt, knownAt > now ? knownAt : Number.POSITIVE_INFINITY);
    }
    const due = [this.#announcer.dueAt, this.#requests.dueAt(now), ...this.#leasing.dueAt];
    return Math.min(...due.filter((at) => at > now));
  }

  /** Tells `peers` what is here and what is being taken. */
  tell(peers: readonly string[]): void {
    const { digest, size, surroundings } = this.#components;
    const message = this.#announcer.message({ ...this.#part, digest, size, own: this.#table.own });
    surroundings.wish({ kind: 'tell', peers, message });
  }

  #ask(now: number): void {
    const part = this.#part;
    const requests = this.#requests;
    const leasing = this.#leasing;
    const asked = requests.next(
      { ...part, isLeased: (index) => leasing.covers(index), isArriving: (index) => leasing.isAt(index) },
      now,
    );
    for (const { peer, index } of asked) {
      this.#components.surroundings.wish({ kind: 'take', digest: this.#components.digest, peer, index });
    }
    const isMovable = requests.count > 0 || requests.isOffered || !leasing.isFetchedByOthers(now);
    part.movableAt = isMovable ? Math.min(part.movableAt, now) : Number.POSITIVE_INFINITY;
  }

  #announce(now: number): void {
    if (!this.#announcer.turn(now, this.#components.partners.isAmongMany)) return;
    const peers = this.#components.partners.told;
    if (peers.length > 0) this.tell(peers);
  }

  /** Whether anybody still lacks what this agent has. */
  #isNeeded(): boolean {
    return this.#table.isWantedBy(() => true);
  }

  /** What others may have of this agent. */
  #gives(): void {
    this.#table.ownGives(union(this.#part.marked, this.#part.mapped));
  }
}
