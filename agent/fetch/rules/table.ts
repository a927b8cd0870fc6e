import { type Bitmap, clearBit, eachNew, hasBit, isBitmapOf, setBit, union } from '../../../protocol/bitmap.ts';
import { MIN_CHUNK_SIZE } from '../../../protocol/chunks.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import { judge, unbarAll } from './barring.ts';
import { ChunkTimes } from './chunk-times.ts';
import { isLate, isSlow } from './lateness.ts';
import { LeaseHolders } from './lease-holders.ts';
import { Rarity } from './rarity.ts';
import { Spread } from './spread.ts';
import { beginChunk, hasAll, isWithin, newTaking, noteProgress, type Segment, type Taking } from './taking.ts';
import { Unsaid } from './unsaid.ts';
import { UplinkRate } from './uplink-rate.ts';

/** Who has not been heard of for this long takes part no more; and among many, who tell half as often. ms */
const SILENCE = 3_000;
const SILENCE_AMONG_MANY = 6_000;

/** A look at all after each message would cost more than the messages. ms */
const REVIEW_EVERY = 50;

/** Agents of whom one blob's table keeps anything. */
const MAX_TAKINGS = 1_024;

export type TakingMessage = Extract<FleetMessage, { type: 'taking' }>;

/**
 * What neighbours announce of one blob, and this agent's own part in it: all that coordinators and holders of leases
 * decide by, so that whoever else decides sees the same. Pure; times are ms of one clock, given by the caller.
 */
export class Table {
  readonly count: number;
  /** Bytes. */
  readonly chunkSize: number;
  /** This agent's own part; it is not among {@link others}. */
  own: Taking;
  readonly others = new Map<string, Taking>();
  readonly times: ChunkTimes;
  readonly uplink: UplinkRate;
  /** Who gets no more leases on this blob: a lease of theirs was void, or what they took went no further. */
  readonly barred = new Set<string>();
  /** When anybody had a chunk more. ms */
  gainedAt: number;
  /** Leases in a row that brought nothing. */
  failures = 0;
  /** Whether this agent takes the blob itself, not only watches over it. */
  takesPart = false;
  /** Whose word on this blob counts no longer. */
  readonly #ignored = new Set<string>();
  #isDeaf = false;
  readonly #self: string;
  readonly #isAmongMany: () => boolean;
  #reviewedAt = Number.NEGATIVE_INFINITY;
  #reviewAt = Number.POSITIVE_INFINITY;
  readonly #leaseHolders: LeaseHolders;
  readonly #spread = new Spread();
  readonly #unsaid: Unsaid;
  readonly #rarity: Rarity;
  /** Root of the chunk map that is trusted here. */
  #root: Uint8Array | undefined;

  /**
   * @param times of all blobs: the first chunk of one is then no stranger
   * @param uplink of all blobs too
   * @param isAmongMany see {@link Partners.isAmongMany}
   * @param chunkSize bytes
   */
  constructor(
    self: string,
    count: number,
    now: number,
    times = new ChunkTimes(),
    uplink?: UplinkRate,
    isAmongMany = () => false,
    chunkSize = MIN_CHUNK_SIZE,
  ) {
    this.#self = self;
    this.#isAmongMany = isAmongMany;
    this.times = times;
    this.uplink = uplink ?? new UplinkRate(() => this.leaseHolders);
    this.#leaseHolders = new LeaseHolders(this.uplink);
    this.gainedAt = now;
    this.count = count;
    this.chunkSize = chunkSize;
    this.own = newTaking(count, now);
    this.resetOwn(now);
    this.#rarity = new Rarity(count);
    this.#unsaid = new Unsaid(count);
  }

  /** How many hold leases that are not overdue, this agent included. */
  get leaseHolders(): number {
    return this.#leaseHolders.count;
  }

  /** How many others have each chunk in a way that is of use here. */
  get rarity(): Uint16Array {
    return this.#rarity.counts;
  }

  /**
   * Whether a claimant need not take the chunk from upstream. What this agent has and gives to nobody, since what vouched
   * for it counts no more, and what matched a chunk map that is not used here, may be of no use to whoever claims: all
   * might refuse each other a chunk that none of them can take of those who have it.
   */
  isHadFor(claimant: string, index: number): boolean {
    const { have, usable } = this.own;
    return hasBit(claimant === this.#self ? have : usable, index) || this.isOffered(index);
  }

  /** Whether anybody has the chunk in a way that is of use here, and gives it to others. */
  isOffered(index: number): boolean {
    return (this.rarity[index] as number) > 0 && !this.#spread.isWithheld(index);
  }

  /** Takes note of what a neighbour announces. False where it is not of a blob of this size. */
  hear(peer: string, message: TakingMessage, now: number): boolean {
    const { marks, mapped } = message;
    if (this.#isDeaf || this.#ignored.has(peer)) return false;
    if (!isBitmapOf(marks, this.count) || (mapped !== null && !isBitmapOf(mapped[1], this.count))) return false;
    const had = mapped === null ? marks : union(marks, mapped[1]);
    if (this.#unsaid.hears(peer, had)) {
      this.ignore(peer);
      return false;
    }
    let taking = this.others.get(peer);
    if (taking === undefined) {
      if (this.others.size >= MAX_TAKINGS) return false;
      taking = newTaking(this.count, now);
      this.others.set(peer, taking);
      this.#reviewAt = Math.min(this.#reviewAt, now + this.#silence);
    }
    taking.heardAt = now;
    const { have: before, usable: usedBefore } = taking;
    const isOurs = mapped !== null && this.#root !== undefined && Buffer.compare(mapped[0], this.#root) === 0;
    const usable = isOurs ? had : marks;
    taking.have = had;
    taking.usable = usable;
    // Bytes first: those that came before a chunk was whole are none of the next one's.
    this.leased(taking, taking.leases, message.received, now);
    this.#follow(peer, taking, before, had, now);
    this.#rarity.replace(usedBefore, usable);
    if (message.leases.length === 0) this.#endLease(peer, taking);
    this.leased(taking, message.leases, message.received, now);
    return true;
  }

  /** An agent's leases and its bytes from upstream are these from now on. */
  leased(taking: Taking, leases: readonly Segment[], received: number, now: number): void {
    const begins = taking.leases.length === 0 && leases.length > 0;
    if (this.#leaseHolders.has(taking)) this.uplink.note(taking, Math.max(0, received - taking.received), now);
    if (received > taking.received) this.failures = 0;
    else if (leases.length === 0 && taking.leases.length > 0 && received === taking.leaseBytes) this.failures++;
    const at = taking.leases[0]?.[0];
    taking.leases = leases;
    taking.received = received;
    // The bytes of a chunk that was given up are none of the next one's.
    if (at !== undefined && !isWithin(at, leases)) taking.chunkBytes = received;
    noteProgress(taking, begins, now);
    if (begins) {
      beginChunk(taking, now);
      taking.isFruitless = true;
    }
    this.#endIfLate(taking, now);
    this.#leaseHolders.set(taking, leases.length > 0 && !this.isLate(taking, now), now);
  }

  /** This agent has chunk `index` from now on. */
  ownChunk(index: number, now: number): void {
    const before = this.own.have;
    const have = Uint8Array.from(before);
    setBit(have, index);
    this.own.have = have;
    this.#follow(this.#self, this.own, before, have, now);
  }

  /** These are the chunks that this agent gives to others from now on. */
  ownGives(given: Bitmap): void {
    this.own.usable = given;
  }

  /** This agent begins its part anew. */
  resetOwn(now: number): void {
    this.#leaseHolders.set(this.own, false, now);
    this.own = newTaking(this.count, now);
    this.own.heardAt = Number.POSITIVE_INFINITY;
  }

  /** This agent has chunk `index` no longer: it was false. */
  ownForgets(index: number): void {
    if (!hasBit(this.own.have, index)) return;
    const have = Uint8Array.from(this.own.have);
    clearBit(have, index);
    this.own.have = have;
  }

  /** Forgets a neighbour. */
  drop(peer: string): void {
    const taking = this.others.get(peer);
    if (taking === undefined) return;
    this.#endLease(peer, taking);
    const none = new Uint8Array(taking.usable.length);
    this.#rarity.replace(taking.usable, none);
    this.#spread.dropped(taking);
    this.#leaseHolders.gone(taking);
    this.others.delete(peer);
  }

  /** Forgets a neighbour, and whatever else it may say. */
  ignore(peer: string): void {
    this.#ignored.add(peer);
    this.drop(peer);
  }

  isIgnored(peer: string): boolean {
    return this.#ignored.has(peer);
  }

  /** A neighbour does not have a chunk that it told of; until it tells of it again. */
  lacks(peer: string, index: number): void {
    const taking = this.others.get(peer);
    if (taking === undefined || !hasBit(taking.usable, index)) return;
    const usable = Uint8Array.from(taking.usable);
    clearBit(usable, index);
    this.#rarity.replace(taking.usable, usable);
    taking.usable = usable;
  }

  /** Forgets everybody, and listens to nobody any more. */
  ignoreAll(): void {
    this.#isDeaf = true;
    for (const peer of [...this.others.keys()]) this.drop(peer);
  }

  /** The chunk map with this root is trusted from now on; undefined for none. What matched it counts once announced. */
  trust(root: Uint8Array | undefined): void {
    this.#root = root;
  }

  /** Forgets who was not heard of for too long, and bars who holds what it should not. */
  review(now: number): void {
    if (now - this.#reviewedAt < REVIEW_EVERY) return;
    this.#reviewedAt = now;
    let heardAt = Number.POSITIVE_INFINITY;
    for (const [peer, taking] of this.others) {
      if (now - taking.heardAt >= this.#silence) this.drop(peer);
      else {
        heardAt = Math.min(heardAt, taking.heardAt);
        judge(this, this.#spread, peer, taking, now);
        this.#endIfLate(taking, now);
      }
    }
    this.#reviewAt = Math.max(heardAt + this.#silence, now + REVIEW_EVERY);
    if (this.takesPart) judge(this, this.#spread, this.#self, this.own, now);
    this.#endIfLate(this.own, now);
    unbarAll(this, this.#self);
  }

  get #silence(): number {
    return this.#isAmongMany() ? SILENCE_AMONG_MANY : SILENCE;
  }

  /** When {@link review} may next find something. */
  get reviewAt(): number {
    return this.#reviewAt;
  }

  /** The live leases of others: not those that are void or of who is barred. */
  leases(now: number): { peer: string; leases: readonly Segment[] }[] {
    const live: { peer: string; leases: readonly Segment[] }[] = [];
    for (const [peer, taking] of this.others) {
      if (taking.leases.length > 0 && this.isLive(peer, taking, now)) live.push({ peer, leases: taking.leases });
    }
    return live;
  }

  isLive(peer: string, taking: Taking, now: number): boolean {
    return !this.barred.has(peer) && !this.isLate(taking, now);
  }

  /** Whether it holds leases that are not overdue, or were not when it was last looked at. */
  isUnderWay(taking: Taking): boolean {
    return this.#leaseHolders.has(taking);
  }

  /** Whether a lease's bytes or chunks are overdue. */
  isLate(taking: Taking, now: number): boolean {
    return isLate(taking, this.chunkSize, this.times, now);
  }

  /** Whether any other of these still lacks anything: who has it all only gives, and takes nothing from upstream. */
  isWantedBy(counts: (peer: string) => boolean): boolean {
    for (const [peer, { have }] of this.others) if (counts(peer) && !hasAll(have, this.count)) return true;
    return false;
  }

  /** A neighbour holds no lease any more, where it held one. */
  #endLease(peer: string, taking: Taking): void {
    if (taking.leases.length > 0 && this.#leaseHolders.ended(peer, taking)) this.barred.add(peer);
  }

  #endIfLate(taking: Taking, now: number): void {
    if (!this.#leaseHolders.has(taking) || !this.isLate(taking, now)) return;
    this.#leaseHolders.set(taking, false, now);
    if (isSlow(taking, this.chunkSize, now)) this.times.overdue(now);
  }

  /** Notes what is new in `have`. */
  #follow(peer: string, taking: Taking, before: Bitmap, have: Bitmap, now: number): void {
    eachNew(before, have, (index) => this.#gained(peer, taking, index, now));
  }

  /** Somebody has a chunk more: whose chunk it was, how long it took, and that it has spread. */
  #gained(peer: string, taking: Taking, index: number, now: number): void {
    this.gainedAt = now;
    let isFirst = true;
    for (const [other, theirs] of this.others) {
      if (other === peer) continue;
      this.#spread.movedOn(theirs, index);
      if (isFirst && hasBit(theirs.have, index)) isFirst = false;
    }
    if (peer !== this.#self) this.#spread.movedOn(this.own, index);
    if (!isWithin(index, taking.leases)) return;
    taking.isFruitless = false;
    this.#leaseHolders.brought(peer);
    this.#unsaid.brought(peer, index);
    // The last is shorter than the others.
    if (index < this.count - 1) this.times.note(now - taking.chunkAt, now);
    else this.times.came();
    beginChunk(taking, now);
    if (isFirst) this.#spread.brought(taking, index, now);
  }
}
