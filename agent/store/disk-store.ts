import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type ChunkMap, chunkMap } from '../../protocol/chunk-map.ts';
import { layoutOf } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, toDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Descriptor } from '../oci/manifest.ts';
import { writeDurably } from './durable.ts';
import { createHashThread } from './hash-thread.ts';
import type { BlobListener, Holdings } from './holdings.ts';
import type { DiskStore, StoreMetrics } from './index.ts';
import type { Layout } from './layout.ts';
import type { StoreLock } from './lock.ts';
import { createPartial } from './partial.ts';
import { openPartialFile } from './partial-file.ts';
import { Readers } from './readers.ts';
import type { Stamp } from './stamp.ts';
import { StandingRecords } from './standing-records.ts';
import { chunkSums, sumOf } from './sums.ts';
import { TagRecords } from './tag-records.ts';
import { Turns } from './turns.ts';
import type { HeldBlob, Partial } from './types.ts';

/** Sizes remembered from manifests; 100 bytes each. An image has some tens. */
const MAX_DESCRIPTORS = 65_536;

export interface DiskStoreComponents {
  readonly layout: Layout;
  readonly lock: StoreLock;
  readonly holdings: Holdings;
  readonly logger: Logger;
  readonly now: () => number;
  readonly metrics: StoreMetrics | undefined;
}

/** @param recheck in milliseconds */
export function createDiskStore(components: DiskStoreComponents, recheck: number): DiskStore {
  return new OpenDiskStore(components, recheck);
}

class OpenDiskStore implements DiskStore {
  readonly tags: TagRecords;
  readonly standings: StandingRecords;
  readonly #layout: Layout;
  readonly #lock: StoreLock;
  readonly #holdings: Holdings;
  readonly #logger: Logger;
  readonly #readers: Readers;
  readonly #turns = new Turns();
  readonly #hashThread = createHashThread();
  /** Partials by digest, also while they are being opened. */
  readonly #partials = new Map<Digest, Promise<Partial>>();
  readonly #puts = new Set<Promise<HeldBlob>>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(components: DiskStoreComponents, recheck: number) {
    this.#layout = components.layout;
    this.#lock = components.lock;
    this.#holdings = components.holdings;
    this.#logger = components.logger;
    this.tags = new TagRecords(components.holdings.index.tags, components.logger);
    this.standings = new StandingRecords(components.holdings.index.standings, components.logger);
    const isPartialOpen = (digest: Digest) => this.#partials.has(digest);
    this.#readers = new Readers({ ...components, turns: this.#turns, isPartialOpen }, recheck);
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
    this.#holdings.keepPrivate(digest, registry);
  }

  isPrivate(digest: Digest): boolean {
    return this.#holdings.isPrivate(digest);
  }

  privateOf(digest: Digest): string | undefined {
    return this.#closed === undefined ? this.#holdings.index.privateOf(digest) : undefined;
  }

  disclose(digest: Digest): void {
    this.#assertOpen();
    this.#holdings.disclose(digest);
  }

  async openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    this.#assertOpen();
    if (this.#partials.has(digest)) throw new Error(`the partial of ${digest} is open already`);
    const opening = this.#openPartial(digest, size, AbortSignal.any([signal, this.#closing.signal]));
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
    const putting = this.#put(digest, bytes, mediaType);
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

  totals(): { blobs: number; bytes: number } {
    return this.#holdings.totals();
  }

  async remove(digest: Digest): Promise<boolean> {
    this.#assertOpen();
    if (!this.#holdings.drop(digest)) return false;
    this.#readers.forget(digest);
    await this.#turns.run(digest, () => rm(this.#layout.blob(digest), { force: true }));
    // Unless it is on its way in again, by whoever noted it before.
    if (!this.#partials.has(digest) && this.#puts.size === 0) this.#holdings.forgetPrivate(digest);
    return true;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    const chunks = layoutOf(size);
    // The one before may still be closing, or a rotten blob on its way to become this partial.
    await this.#turns.wait(digest);
    const file = await openPartialFile(this.#layout, digest, chunks, signal);
    if (file.lost > 0) this.#logger.info({ digest, lost: file.lost }, 'chunks of a partial no longer match; dropped');
    const components = {
      layout: this.#layout,
      hashThread: this.#hashThread,
      hold: (map: ChunkMap, mediaType: string | null, stamp: Stamp) => this.#hold(map, mediaType, stamp),
      inTurn: <Result>(of: Digest, work: () => Promise<Result>) => this.#turns.run(of, work),
      released: (of: Digest, done: Promise<void>) => {
        this.#partials.delete(of);
        void this.#turns.run(of, () => done);
      },
    };
    return createPartial(components, digest, chunks, file);
  }

  async #put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    const algorithm = algorithmOf(digest);
    // The caller's buffer is its own again; what was verified is what is written.
    const content = new Uint8Array(bytes);
    const found = toDigest(algorithm, await sumOf(algorithm, content));
    if (found !== digest) throw new AgentError('DIGEST_MISMATCH', `what was to be stored as ${digest} is ${found}`);
    const map = chunkMap(digest, content.length, await chunkSums(content));
    return await this.#turns.run(digest, async () => {
      const known = this.#holdings.get(digest);
      if (known !== undefined) return this.#holdings.describe(known, mediaType);
      const stamp = await writeDurably(join(this.#layout.tmp, randomUUID()), this.#layout.blob(digest), content);
      try {
        return await this.#hold(map, mediaType, stamp);
      } catch (error) {
        // The index cannot be written (a full disk): a file without a row would only take room.
        await rm(this.#layout.blob(digest), { force: true });
        throw error;
      }
    });
  }

  async #hold(map: ChunkMap, mediaType: string | null, stamp: Stamp): Promise<HeldBlob> {
    const held = this.#holdings.hold(map, mediaType, stamp);
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
    const partials = await Promise.allSettled(this.#partials.values());
    const open = partials.flatMap((partial) => (partial.status === 'fulfilled' ? [partial.value] : []));
    await Promise.allSettled([...open.map((partial) => partial.close()), ...this.#puts]);
    await this.#turns.all();
    await this.#hashThread.close();
    this.tags.close();
    this.standings.close();
    await this.#holdings.close();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw new AgentError('DRAINING', 'the store is closed');
  }
}
