import type { Logger } from 'pino';
import { decodeChunkMap } from '../../protocol/chunk-map.ts';
import type { ChunkLayout } from '../../protocol/chunks.ts';
import { layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { Account } from './account.ts';
import { type BlobFile, openBlobFile, rottenError } from './blob-file.ts';
import type { BlobRecord } from './blob-index.ts';
import { demote } from './demote.ts';
import { asFailing } from './failing.ts';
import type { Files } from './files.ts';
import type { Holdings } from './holdings.ts';
import type { StoreMetrics } from './index.ts';
import type { Layout } from './layout.ts';
import { measurePartial } from './measure.ts';
import { aheadByOne } from './pieces.ts';
import { isDue, type Pass, Passes } from './recheck.ts';
import { type Stamp, sameStamp } from './stamp.ts';
import type { Turns } from './turns.ts';

export interface ReadersComponents {
  readonly files: Files;
  readonly layout: Layout;
  readonly holdings: Holdings;
  readonly turns: Turns;
  readonly logger: Logger;
  readonly now: () => number;
  readonly metrics: StoreMetrics | undefined;
  /** Whether somebody has the digest's partial: its file must not be replaced then. */
  isPartialOpen(digest: Digest): boolean;
  readonly account: Account;
}

/** Hears of a blob that was found rotten. May not throw. */
export type RotListener = (digest: Digest, mediaType: string | null) => void;

/** How a read differs from that of a client. */
export interface ReadOptions {
  /** Whether it counts as a use of the blob. @default true */
  readonly isUse?: boolean;
  /** Whether every byte is checked, whenever that was last done. @default false */
  readonly isChecked?: boolean;
}

/** What the readers of one blob share, for as long as it is held and any of them reads. */
interface Lease {
  readonly record: BlobRecord;
  readers: number;
  /** Found rotten: its file becomes a partial, which others write to, so not a byte of it may be yielded any more. */
  rotten: boolean;
  /** Told when the last reader has left. */
  onLeft?: () => void;
}

/** Everybody who reads held blobs. Owns their descriptors and their rechecks. */
export class Readers {
  readonly #components: ReadersComponents;
  readonly #recheck: number;
  readonly #passes = new Passes();
  readonly #leases = new Map<Digest, Lease>();
  readonly #files = new Set<BlobFile>();
  readonly #rotListeners = new Set<RotListener>();
  #uses = 0;
  #closed = false;

  /** @param recheck in milliseconds */
  constructor(components: ReadersComponents, recheck: number) {
    this.#components = components;
    this.#recheck = recheck;
  }

  async *read(
    digest: Digest,
    start: number,
    end: number,
    signal: AbortSignal,
    { isUse = true, isChecked = false }: ReadOptions = {},
  ): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted();
    this.#assertOpen();
    const lease = this.#enter(digest, isUse);
    if (lease === undefined) throw rottenError(digest);
    if (isUse) this.#uses++;
    try {
      if (!(start >= 0 && start <= end && end <= lease.record.size)) {
        throw new RangeError(`bytes ${start} to ${end} are not in a blob of ${lease.record.size}`);
      }
      const file = await this.#open(lease, isChecked ? 0 : this.#recheck);
      try {
        for await (const piece of aheadByOne(file.pieces(start, end))) {
          this.#guard(lease, signal);
          yield piece;
        }
      } finally {
        await this.#close(file);
      }
    } catch (error) {
      throw this.#told(error);
    } finally {
      if (isUse) this.#uses--;
      this.#leave(lease);
    }
  }

  async chunk(
    digest: Digest,
    index: number,
    signal: AbortSignal,
    into: Uint8Array | undefined,
  ): Promise<Uint8Array | undefined> {
    signal.throwIfAborted();
    this.#assertOpen();
    const lease = this.#enter(digest);
    if (lease === undefined) return undefined;
    try {
      if (!Number.isInteger(index) || index < 0 || index >= layoutOf(lease.record.size).count) return undefined;
      const file = await this.#open(lease);
      try {
        const bytes = await file.chunk(index, into);
        this.#guard(lease, signal);
        return bytes;
      } finally {
        // Behind: whoever asked waits for the bytes alone. What is only read has nothing to lose by its closing.
        this.#close(file).catch(() => {});
      }
    } catch (error) {
      if (isAgentError(error, 'BLOB_ROTTEN')) return undefined;
      throw this.#told(error);
    } finally {
      this.#leave(lease);
    }
  }

  /** Whether a client reads anything. */
  get isUsed(): boolean {
    return this.#uses > 0;
  }

  /** Tells of every blob that is found rotten, once it is dropped; its media type tells manifests. @returns what ends it */
  onRot(listener: RotListener): () => void {
    this.#rotListeners.add(listener);
    return () => this.#rotListeners.delete(listener);
  }

  isReading(digest: Digest): boolean {
    return this.#leases.has(digest);
  }

  /**
   * The blob was removed, not found wrong: who reads it may finish, who comes later reads another file.
   * @returns undefined where nobody reads it, else what resolves when the last one has left
   */
  forget(digest: Digest): Promise<void> | undefined {
    const lease = this.#leases.get(digest);
    this.#leases.delete(digest);
    this.#passes.end(digest);
    if (lease === undefined) return undefined;
    return new Promise((resolve) => {
      lease.onLeft = resolve;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Waits for the read under way of each; its reader learns of it when it asks for the next piece.
    await Promise.all([...this.#files].map((file) => file.close()));
  }

  /** @param recheck milliseconds; 0: all of it is checked */
  async #open(lease: Lease, recheck: number = this.#recheck): Promise<BlobFile> {
    const { files, layout, holdings } = this.#components;
    const { record } = lease;
    const file = await openBlobFile(files, layout.blob(record.digest), record, () => holdings.mapOf(record.digest), {
      rotten: (why) => this.#rotten(lease, why),
      passOf: (of, stamp, chunks) => this.#passOf(of, stamp, chunks, recheck),
      passed: (digest, pass, stamp) => this.#passed(digest, pass, stamp),
    });
    if (this.#closed) await file.close();
    this.#files.add(file);
    return file;
  }

  async #close(file: BlobFile): Promise<void> {
    try {
      await file.close();
    } finally {
      this.#files.delete(file);
    }
  }

  #enter(digest: Digest, isUse = true): Lease | undefined {
    const { holdings } = this.#components;
    const record = holdings.get(digest);
    if (record === undefined) return undefined;
    if (isUse) holdings.use(digest);
    const known = this.#leases.get(digest);
    // A recheck or another commit renews the record; the lease is of the newest.
    const lease = known === undefined ? { record, readers: 0, rotten: false } : Object.assign(known, { record });
    lease.readers++;
    this.#leases.set(digest, lease);
    return lease;
  }

  #leave(lease: Lease): void {
    lease.readers--;
    if (lease.readers > 0) return;
    const { digest } = lease.record;
    if (this.#leases.get(digest) === lease) this.#leases.delete(digest);
    lease.onLeft?.();
  }

  #guard(lease: Lease, signal: AbortSignal): void {
    signal.throwIfAborted();
    this.#assertOpen();
    if (lease.rotten) throw rottenError(lease.record.digest);
  }

  #passOf(record: BlobRecord, stamp: Stamp, layout: ChunkLayout, recheck: number): Pass | undefined {
    const now = this.#components.now();
    if (!isDue(record, stamp, now, recheck)) return undefined;
    return this.#passes.of(record.digest, stamp, now, recheck, layout.count);
  }

  /** Unless the file was touched meanwhile, the blob is fresh from when the pass began. */
  #passed(digest: Digest, pass: Pass, stamp: Stamp): void {
    if (sameStamp(stamp, pass.stamp)) this.#components.holdings.renew(digest, stamp, pass.startedAt);
    this.#passes.end(digest);
  }

  async #rotten(lease: Lease, why: string): Promise<void> {
    const { account, files, holdings, layout, logger, metrics, turns, isPartialOpen } = this.#components;
    const { digest } = lease.record;
    // Who reads what was removed or found rotten already has nothing more to drop.
    if (this.#leases.get(digest) !== lease) return turns.wait(digest);
    lease.rotten = true;
    void this.forget(digest);
    const encoded = holdings.mapOf(digest);
    const map = encoded && decodeChunkMap(encoded);
    holdings.drop(digest);
    metrics?.refusedChunks.inc({ source: 'store' });
    logger.warn({ digest, why }, 'a held blob is rotten; it was dropped');
    const left = account.leaves(lease.record.size);
    await turns
      .run(digest, async () => {
        if (map === undefined || isPartialOpen(digest)) return await files.rm(layout.blob(digest));
        await demote(files, layout, map);
        account.leave(digest, await measurePartial(files, layout, digest));
      })
      // It is dropped all the same; the next start puts the files in order.
      .catch((error) => {
        account.lingers(lease.record.size);
        logger.warn({ err: error, digest }, 'what is good of a rotten blob cannot be kept');
      })
      .finally(left);
    for (const listener of this.#rotListeners) listener(digest, lease.record.mediaType);
  }

  #assertOpen(): void {
    if (this.#closed) throw new AgentError('DRAINING', 'the store is closed');
  }

  /** A descriptor that close() took away fails in its own words. */
  #told(error: unknown): unknown {
    if (this.#closed && !isAgentError(error)) return new AgentError('DRAINING', 'the store is closed');
    return asFailing('read', error);
  }
}
