import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import type { Account, Reservation } from './account.ts';
import { type Bounds, freeOf } from './bounds.ts';
import { Ceiling } from './ceiling.ts';
import { byLastUse, type Candidate, chooseVictims, roomOf, slackOf } from './eviction.ts';
import type { Files } from './files.ts';
import type { Health } from './health.ts';
import type { Layout } from './layout.ts';
import { measureRest } from './measure.ts';
import { noRoom } from './no-room.ts';

/** How often it is looked whether others fill the disk. Milliseconds. */
const LOOK_EVERY = 10_000;

/** How long the size of index and directories is taken to be what it was. Milliseconds. */
const REST_LASTS = 1_000;

/** What a look beside everything else lets go at once, so that a bound that was lowered does not stop the agent. */
const LOOK_VICTIMS = 256;

/** What room counts into; prom-client's counters and gauges fit. */
export interface RoomMetrics {
  readonly evictedBlobs: { inc(count: number): void };
  readonly evictedBytes: { inc(bytes: number): void };
  readonly storeUsedBytes: { set(bytes: number): void };
  readonly storeBoundBytes: { set(bytes: number): void };
}

export interface RoomComponents {
  readonly files: Files;
  readonly layout: Layout;
  readonly logger: Logger;
  readonly metrics: RoomMetrics | undefined;
  readonly account: Account;
  readonly health: Health;
  /** The held blobs, the one used longest ago first. */
  blobs(): Iterable<Candidate>;
  /** Whether it is pinned, being read or being fetched. */
  isKept(digest: Digest): boolean;
  /** Forgets them at once, and removes their files. @returns for each when its file is gone; never rejects */
  evict(victims: readonly Candidate[]): Promise<void>[];
}

/**
 * Keeps the store within its bounds. Whoever is about to write reserves all that it will write, so that many at once do
 * not pass the bound together; what was used longest ago makes room before the first byte comes.
 */
export class Room {
  readonly bounds: Bounds;
  readonly #components: RoomComponents;
  #restMeasured = Number.NEGATIVE_INFINITY;
  #measuring: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isShort = false;
  readonly #ceiling = new Ceiling();
  /** Removals under way. None rejects. */
  readonly #removals = new Set<Promise<void>>();

  constructor(components: RoomComponents, bounds: Bounds) {
    this.bounds = bounds;
    this.#components = components;
    components.metrics?.storeBoundBytes.set(bounds.maxSize);
    this.show();
  }

  /** Begins to look, now and then, whether the bounds still hold. Ends with {@link close}. */
  watch(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY).unref();
    void this.look();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /**
   * Reserves room for a file, in place of what is left on disk of the digest's partial where `isPartial`. Resolves as
   * soon as there is so much; what is let go beyond it is removed behind.
   * @param size bytes
   * @throws AgentError STORE_FULL; what the file system threw
   */
  async reserve(digest: Digest, size: number, isPartial: boolean, unwritten: () => number): Promise<Reservation> {
    const { account } = this.#components;
    const free = await this.#measure();
    // Nothing waits from here to the reservation: ten at once must see one another.
    const room = roomOf(size);
    const more = room - ((isPartial && account.leftover(digest)?.room) || 0);
    let needed = this.#needed(more, free);
    let victims = this.#choose(needed, free);
    // The disk may have been full for a moment only: better to try it than to refuse for what it said then.
    if (sumOf(victims) < needed && this.#ceiling.lift()) {
      needed = this.#needed(more, free);
      victims = this.#choose(needed, free);
    }
    if (sumOf(victims) < needed) {
      throw noRoom(digest, room, { ...this.bounds, used: account.total - account.leaving, free });
    }
    const reservation = { room, unwritten };
    if (isPartial) account.leave(digest, undefined);
    account.reserve(reservation);
    this.#evict(victims);
    await this.#fits(free);
    this.show();
    // The next one finds room already.
    if (this.#needed(this.#slack(free) / 2, free) > 0) void this.look();
    return reservation;
  }

  /** What was reserved is a blob by now, or its leftover was measured. */
  release(reservation: Reservation): void {
    this.#components.account.release(reservation);
    this.show();
  }

  /** The disk took no more, though by all that is known it should have: for a while the store makes do with less. */
  refused(): void {
    const { total, unwritten } = this.#components.account;
    if (this.#ceiling.set(total - unwritten - slackOf(total))) void this.look();
  }

  /** Lets go of what is too much, and of a little more. Never rejects; one look at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  show(): void {
    this.#components.metrics?.storeUsedBytes.set(this.#components.account.total);
  }

  async #look(): Promise<void> {
    try {
      for (;;) {
        const free = await this.#measure();
        this.#tell(free);
        const victims = this.#choose(this.#needed(this.#slack(free) / 2, free), free).slice(0, LOOK_VICTIMS);
        await Promise.all(this.#evict(victims));
        this.show();
        // Partials that cannot be removed lie there as before: the next look tries them again.
        const { account } = this.#components;
        const isStuck = victims.every(
          ({ digest, kind }) => kind === 'partial' && account.leftover(digest) !== undefined,
        );
        if (victims.length < LOOK_VICTIMS || isStuck) return;
      }
    } catch (error) {
      this.#components.health.failed(error);
    }
  }

  get #bound(): number {
    return Math.min(this.#ceiling.bytes, this.bounds.maxSize);
  }

  /** A share of what the store can come to: on a disk that is smaller than the bound a share of the bound may be all of it. */
  #slack(free: number): number {
    const { total } = this.#components.account;
    return slackOf(Math.min(this.bounds.maxSize, total + Math.max(0, free - this.bounds.minFree)));
  }

  /** What has to go so that `more` bytes have room. What is being removed is as good as gone. */
  #needed(more: number, free: number): number {
    const { account } = this.#components;
    const { leaving, total, unwritten } = account;
    const { minFree } = this.bounds;
    return Math.max(total - leaving + more - this.#bound, minFree + unwritten + more - free - leaving);
  }

  #choose(needed: number, free: number): Candidate[] {
    if (needed <= 0) return [];
    const { account, blobs, isKept } = this.#components;
    return chooseVictims(
      byLastUse(blobs(), account.leftovers()),
      ({ digest }) => !isKept(digest),
      needed,
      this.#slack(free),
    );
  }

  #evict(victims: readonly Candidate[]): Promise<void>[] {
    if (victims.length === 0) return [];
    const { evict, logger, metrics } = this.#components;
    const blobs = victims.filter(({ kind }) => kind === 'blob').length;
    const bytes = sumOf(victims);
    metrics?.evictedBlobs.inc(blobs);
    metrics?.evictedBytes.inc(bytes);
    logger.debug({ blobs, partials: victims.length - blobs, bytes }, 'what was used longest ago made room');
    const removals = evict(victims);
    for (const removal of removals) {
      this.#removals.add(removal);
      void removal.then(() => this.#removals.delete(removal));
    }
    return removals;
  }

  /** Waits until what was reserved fits on the disk, and no longer: until then nothing of it may be written. */
  async #fits(free: number): Promise<void> {
    const { account } = this.#components;
    const { minFree } = this.bounds;
    const before = account.leaving;
    const isOver = () =>
      account.total > this.#bound || minFree + account.unwritten > free + Math.max(0, before - account.leaving);
    for (const removal of [...this.#removals]) {
      if (!isOver()) return;
      await removal;
    }
  }

  async #measure(): Promise<number> {
    const { files, layout } = this.#components;
    if (performance.now() - this.#restMeasured >= REST_LASTS) {
      // Who comes meanwhile waits for the same look.
      this.#measuring ??= this.#measureRest().finally(() => {
        this.#measuring = undefined;
      });
      await this.#measuring;
    }
    return await freeOf(files, layout.root);
  }

  async #measureRest(): Promise<void> {
    const { account, files, layout } = this.#components;
    const rest = await measureRest(files, layout);
    this.#restMeasured = performance.now();
    account.measured(rest);
  }

  /** Says once that others fill the disk, and once that they no longer do. */
  #tell(free: number): void {
    const { logger } = this.#components;
    const { minFree } = this.bounds;
    // The store itself may come some blocks short: it is the others that are told of.
    const isShort = free < minFree - this.#slack(free);
    if (isShort === this.#isShort) return;
    this.#isShort = isShort;
    if (isShort) logger.warn({ free, minFree }, 'others fill the disk of the store; it shrinks');
    else logger.info({ free, minFree }, 'the disk of the store has room again');
  }
}

function sumOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { room }) => sum + room, 0);
}
