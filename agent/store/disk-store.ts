import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { Account, Usage } from './account.ts';
import { type Bounds, freeOf } from './bounds.ts';
import { Collection } from './collection.ts';
import type { Files } from './files.ts';
import { createHashThread } from './hash-thread.ts';
import { Health, type StoreState } from './health.ts';
import type { Holdings } from './holdings.ts';
import type { DiskStore, StoreMetrics } from './index.ts';
import { Inspection } from './inspection.ts';
import type { Layout } from './layout.ts';
import type { BlobListener } from './listeners.ts';
import type { StoreLock } from './lock.ts';
import type { Pin } from './pin-index.ts';
import { Readers, type RotListener } from './readers.ts';
import { reconcile } from './reconcile.ts';
import { Removal } from './removal.ts';
import { Room } from './room.ts';
import { StandingRecords } from './standing-records.ts';
import { Storing } from './storing.ts';
import { TagRecords } from './tag-records.ts';
import { Turns } from './turns.ts';
import type { HeldBlob, Partial } from './types.ts';

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
  readonly #lock: StoreLock;
  readonly #holdings: Holdings;
  readonly #logger: Logger;
  readonly #readers: Readers;
  readonly #account: Account;
  readonly #health: Health;
  readonly #room: Room;
  readonly #removal: Removal;
  readonly #storing: Storing;
  readonly #turns = new Turns();
  readonly #hashThread = createHashThread();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(components: DiskStoreComponents, { bounds, recheck }: DiskStoreInit) {
    const { account, files, holdings, layout, logger, metrics, now } = components;
    this.#lock = components.lock;
    this.#holdings = holdings;
    this.#account = account;
    this.#logger = logger;
    this.tags = new TagRecords(holdings.index.tags, logger);
    this.standings = new StandingRecords(holdings.index.standings, logger);
    const isPartialOpen = (digest: Digest) => this.#storing.isPartialOpen(digest);
    const shared = { ...components, turns: this.#turns, isPartialOpen };
    this.#readers = new Readers(shared, recheck);
    const isComing = (digest: Digest) => isPartialOpen(digest) || this.#storing.isPutting;
    this.#removal = new Removal({ ...shared, readers: this.#readers, isComing });
    this.#health = new Health(logger, now, metrics, () => this.#room.refused());
    const free = () => freeOf(files, layout.root);
    const isKept = (digest: Digest) =>
      isPartialOpen(digest) || this.#readers.isReading(digest) || this.isPinned(digest);
    const isStoring = () => this.#storing.isStoring;
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
    const { signal } = this.#closing;
    const storing = { ...shared, health: this.#health, room: this.#room, hashThread: this.#hashThread };
    this.#storing = new Storing(storing, signal);
    this.#room.watch();
    this.inOrder = reconcile(shared, signal);
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
    return await this.#storing.openPartial(digest, size, signal);
  }

  async put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    this.#assertOpen();
    return await this.#storing.put(digest, bytes, mediaType);
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
    await this.#storing.close();
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
