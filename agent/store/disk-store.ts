import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type ChunkMap, chunkMap } from '../../protocol/chunk-map.ts';
import { layoutOf } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, toDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { Account, Reservation, Usage } from './account.ts';
import { type Bounds, freeOf } from './bounds.ts';
import { Collection } from './collection.ts';
import { takeBack } from './demote.ts';
import { writeDurably } from './durable.ts';
import type { Files } from './files.ts';
import { createHashThread } from './hash-thread.ts';
import { Health, type StoreState } from './health.ts';
import type { BlobListener, Holdings } from './holdings.ts';
import type { DiskStore, StoreMetrics } from './index.ts';
import { Inspection } from './inspection.ts';
import { journalRoom } from './journal.ts';
import type { Layout } from './layout.ts';
import type { StoreLock } from './lock.ts';
import { measurePartial } from './measure.ts';
import { createPartial } from './partial.ts';
import { openPartialFile } from './partial-file.ts';
import type { Pin } from './pin-index.ts';
import { Readers, type RotListener } from './readers.ts';
import { reconcile } from './reconcile.ts';
import { Removal } from './removal.ts';
import { Room } from './room.ts';
import type { Stamp } from './stamp.ts';
import { StandingRecords } from './standing-records.ts';
import { chunkSums, sumOf } from './sums.ts';
import { TagRecords } from './tag-records.ts';
import { Turns } from './turns.ts';
import type { HeldBlob, Partial } from './types.ts';
import { WatchedPartial } from './watched-partial.ts';

/** Sizes remembered from manifests; 100 bytes each. An image has some tens. */
const MAX_DESCRIPTORS = 65_536;

export interface DiskStoreComponents {
  readonly files: Files;
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly holdings: Holdings;
  readonly logger: Logger;
  readonly now: () => number;
  readonly metrics: StoreMetrics | undefined;
  /** Knows of the blobs and of what is left of partials. */
  readonly account: Account;
}

export interface DiskStoreInit {
  readonly bounds: Bounds;
  /** Milliseconds. */
  readonly recheck: number;
}

export function createDiskStore(components: DiskStoreComponents, init: DiskStoreInit): DiskStore {
  return new OpenDiskStore(components, init);
}

class OpenDiskStore implements DiskStore {
  readonly tags: TagRecords;
  readonly standings: StandingRecords;
  readonly inspection: Inspection;
  readonly collection: Collection;
  readonly inOrder: Promise<void>;
  readonly #files: Files;
  readonly #layout: Layout;
  readonly #lock: StoreLock;
  readonly #holdings: Holdings;
  readonly #logger: Logger;
  readonly #readers: Readers;
  readonly #account: Account;
  readonly #health: Health;
  readonly #room: Room;
  readonly #removal: Removal;
  readonly #turns = new Turns();
  readonly #hashThread = createHashThread();
  /** Partials by digest, also while they are being opened. */
  readonly #partials = new Map<Digest, Promise<Partial>>();
  readonly #puts = new Set<Promise<HeldBlob>>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(components: DiskStoreComponents, { bounds, recheck }: DiskStoreInit) {
    const { account, files, holdings, layout, logger, metrics, now } = components;
    this.#files = files;
    this.#layout = layout;
    this.#lock = components.lock;
    this.#holdings = holdings;
    this.#account = account;
    this.#logger = logger;
    this.tags = new TagRecords(holdings.index.tags, logger);
    this.standings = new StandingRecords(holdings.index.standings, logger);
    const isPartialOpen = (digest: Digest) => this.#partials.has(digest);
    const shared = { ...components, turns: this.#turns, isPartialOpen };
    this.#readers = new Readers(shared, recheck);
    const isComing = (digest: Digest) => isPartialOpen(digest) || this.#puts.size > 0;
    this.#removal = new Removal({ ...shared, readers: this.#readers, isComing });
    this.#health = new Health(logger, now, metrics, () => this.#room.refused());
    const free = () => freeOf(files, layout.root);
    const isKept = (digest: Digest) =>
      isPartialOpen(digest) || this.#readers.isReading(digest) || this.isPinned(digest);
    const isStoring = () => this.#partials.size + this.#puts.size > 0;
    this.inspection = new Inspection({ files, layout, holdings, readers: this.#readers, isStoring });
    this.collection = new Collection({ ...components, removal: this.#removal, bounds, isKept, free });
    this.#room = new Room(
      {
        ...{ account, files, layout, logger, metrics, health: this.#health },
        blobs: () => holdings.byLastUse(),
        isKept,
        evict: (victims) => this.#removal.evict(victims),
      },
      bounds,
    );
    this.#room.watch();
    this.inOrder = reconcile(shared, this.#closing.signal);
  }

  find(digest: Digest): HeldBlob | undefined {
    const record = this.#holdings.get(digest);
    if (record === undefined) return undefined;
    this.#holdings.use(digest);
    return { digest, size: record.size, mediaType: record.mediaType };
  }

  read(digest: Digest, start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#readers.read(digest, start, end, signal);
  }

  chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.#holdings.isPrivate(digest)) return Promise.resolve(undefined);
    return this.#readers.chunk(digest, index, signal, into);
  }

  keepPrivate(digest: Digest, registry: string): void {
    this.#assertOpen();
    this.#health.watchNow(() => this.#holdings.keepPrivate(digest, registry));
  }

  isPrivate(digest: Digest): boolean {
    return this.#holdings.isPrivate(digest);
  }

  privateOf(digest: Digest): string | undefined {
    return this.#closed === undefined ? this.#holdings.index.privateOf(digest) : undefined;
  }

  disclose(digest: Digest): void {
    this.#assertOpen();
    this.#health.watchNow(() => this.#holdings.disclose(digest));
  }

  async openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    this.#assertOpen();
    if (this.#partials.has(digest)) throw new Error(`the partial of ${digest} is open already`);
    this.#health.assertTried();
    const all = AbortSignal.any([signal, this.#closing.signal]);
    const opening = this.#health.watch(() => this.#openPartial(digest, size, all));
    this.#partials.set(digest, opening);
    try {
      return await opening;
    } catch (error) {
      this.#partials.delete(digest);
      throw error;
    }
  }

  async put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    this.#assertOpen();
    this.#health.assertTried();
    const putting = this.#health.watch(() => this.#put(digest, bytes, mediaType));
    this.#puts.add(putting);
    try {
      return await putting;
    } finally {
      this.#puts.delete(putting);
    }
  }

  rememberDescriptors(descriptors: readonly Descriptor[]): void {
    this.#assertOpen();
    try {
      this.#holdings.index.describe(descriptors, MAX_DESCRIPTORS);
    } catch (error) {
      // They save a request; a full disk must not fail the manifest they came with.
      this.#logger.warn({ err: error }, 'the store cannot remember the sizes a manifest gave');
    }
  }

  sizeOf(digest: Digest): number | undefined {
    if (this.#closed !== undefined) return undefined;
    return this.#holdings.get(digest)?.size ?? this.#holdings.index.described(digest);
  }

  held(digest: Digest): { size: number; root: string } | undefined {
    const record = this.#holdings.forPeers(digest);
    return record && { size: record.size, root: record.root };
  }

  chunkMapOf(digest: Digest): Uint8Array | undefined {
    return this.#holdings.isPrivate(digest) ? undefined : this.#holdings.mapOf(digest);
  }

  recent(limit: number): Digest[] {
    return this.#holdings.recent(limit);
  }

  onHold(listener: BlobListener): () => void {
    return this.#holdings.onHold(listener);
  }

  onDrop(listener: BlobListener): () => void {
    return this.#holdings.onDrop(listener);
  }

  onRot(listener: RotListener): () => void {
    return this.#readers.onRot(listener);
  }

  totals(): { blobs: number; bytes: number } {
    return this.#holdings.totals();
  }

  usage(): Usage & Bounds {
    return { ...this.#account.usage, ...this.#room.bounds };
  }

  state(): StoreState {
    return this.#health.state;
  }

  pin(image: string, digests: Iterable<Digest>): void {
    this.#assertOpen();
    this.#health.watchNow(() => this.#holdings.index.pins.pin(image, digests));
  }

  unpin(image: string): boolean {
    this.#assertOpen();
    return this.#health.watchNow(() => this.#holdings.index.pins.unpin(image));
  }

  pins(): Pin[] {
    return this.#closed === undefined ? this.#holdings.index.pins.all() : [];
  }

  isPinned(digest: Digest): boolean {
    return this.#closed === undefined && this.#holdings.index.pins.isPinned(digest);
  }

  async remove(digest: Digest): Promise<boolean> {
    this.#assertOpen();
    return await this.#health.watch(() => this.#removal.remove(digest));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    const chunks = layoutOf(size);
    // The one before may still be closing, or a rotten blob on its way to become this partial.
    await this.#turns.run(digest, () => this.#takeBack(digest));
    let opened: Partial | undefined;
    const unwritten = () => (opened === undefined ? size : size - Math.min(size, opened.marked * chunks.chunkSize));
    const reservation = await this.#room.reserve(digest, size + journalRoom(chunks.count), true, unwritten);
    try {
      const file = await openPartialFile(this.#files, this.#layout, digest, chunks, signal);
      if (file.lost > 0) this.#logger.info({ digest, lost: file.lost }, 'chunks of a partial no longer match; dropped');
      const components = {
        files: this.#files,
        layout: this.#layout,
        hashThread: this.#hashThread,
        hold: (map: ChunkMap, mediaType: string | null, stamp: Stamp) => this.#hold(map, mediaType, stamp, reservation),
        inTurn: <Result>(of: Digest, work: () => Promise<Result>) => this.#turns.run(of, work),
        released: (of: Digest, done: Promise<void>) => {
          this.#partials.delete(of);
          this.#leave(of, reservation, done);
        },
      };
      opened = createPartial(components, digest, chunks, file);
      return new WatchedPartial(opened, this.#health, () => this.#turns.wait(digest));
    } catch (error) {
      this.#leave(digest, reservation, Promise.resolve());
      throw error;
    }
  }

  /** A crash between rename and index left the file among the blobs, and the reconciliation may not have come to it. */
  async #takeBack(digest: Digest): Promise<void> {
    if (this.#holdings.get(digest) !== undefined) return;
    if ((await takeBack(this.#files, this.#layout, digest)) === undefined) return;
    this.#account.changed(digest, await measurePartial(this.#files, this.#layout, digest));
  }

  /** What is left of a partial when `done` has resolved is counted as it lies there; the next owner waits for that. */
  #leave(digest: Digest, reservation: Reservation, done: Promise<void>): void {
    const left = done
      .then(async () => this.#account.leave(digest, await measurePartial(this.#files, this.#layout, digest)))
      .catch((error) => this.#health.failed(error))
      .then(() => this.#room.release(reservation));
    void this.#turns.run(digest, () => left);
  }

  async #put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    const algorithm = algorithmOf(digest);
    // The caller's buffer is its own again; what was verified is what is written.
    const content = new Uint8Array(bytes);
    const found = toDigest(algorithm, await sumOf(algorithm, content));
    if (found !== digest) throw new AgentError('DIGEST_MISMATCH', `what was to be stored as ${digest} is ${found}`);
    const map = chunkMap(digest, content.length, await chunkSums(content));
    const held = this.#holdings.get(digest);
    if (held !== undefined) return this.#holdings.describe(held, mediaType);
    // Before its turn: what makes room may wait for this digest's turn itself.
    const reservation = await this.#room.reserve(digest, content.length, false, () => content.length);
    try {
      return await this.#turns.run(digest, () => this.#write(map, content, mediaType, reservation));
    } finally {
      this.#room.release(reservation);
    }
  }

  async #write(map: ChunkMap, content: Uint8Array, mediaType: string | null, room: Reservation): Promise<HeldBlob> {
    const { digest } = map;
    const known = this.#holdings.get(digest);
    if (known !== undefined) return this.#holdings.describe(known, mediaType);
    const path = this.#layout.blob(digest);
    try {
      const stamp = await writeDurably(this.#files, join(this.#layout.tmp, randomUUID()), path, content);
      const held = await this.#hold(map, mediaType, stamp, room);
      this.#health.stored();
      return held;
    } catch (error) {
      // Directory or index cannot be written (a full disk): a file without a row would only take room.
      await this.#files.rm(path).catch(() => {});
      throw error;
    }
  }

  async #hold(map: ChunkMap, mediaType: string | null, stamp: Stamp, room: Reservation): Promise<HeldBlob> {
    const held = this.#holdings.hold(map, mediaType, stamp);
    // In the same breath: else it would count twice for as long as the fsync takes.
    this.#room.release(room);
    try {
      await this.#holdings.index.sync();
    } catch (error) {
      // Held all the same: only a power cut would forget it.
      this.#logger.warn({ err: error, digest: map.digest }, 'the index of the store cannot be fsynced');
    }
    return held;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new AgentError('DRAINING', 'the store is closed'));
    try {
      await this.#drain();
    } finally {
      this.#lock.release();
    }
  }

  async #drain(): Promise<void> {
    await this.#readers.close();
    await this.inOrder;
    const partials = await Promise.allSettled(this.#partials.values());
    const open = partials.flatMap((partial) => (partial.status === 'fulfilled' ? [partial.value] : []));
    await Promise.allSettled([...open.map((partial) => partial.close()), ...this.#puts]);
    await this.#turns.all();
    await this.#room.close();
    await this.#hashThread.close();
    this.tags.close();
    this.standings.close();
    await this.#holdings.close();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new AgentError('DRAINING', 'the store is closed');
  }
}
