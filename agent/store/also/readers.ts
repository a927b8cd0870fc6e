import type { Logger } from 'pino';
import { layoutOf } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { AgentError, isAgentError } from '../../errors.ts';
import { type BlobFile, blobFileOf, rottenError } from '../blob-file.ts';
import { aheadByOne } from '../pieces.ts';
import { isDue, type Pass, Passes } from '../recheck.ts';
import { type Stamp, sameStamp } from '../stamp.ts';
import type { Entry } from './entries.ts';
import type { Ledger } from './ledger.ts';

export interface AlsoReadersComponents {
  readonly ledger: Ledger;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly metrics: { readonly refusedChunks: { inc(labels: { source: 'store' }): void } } | undefined;
}

/**
 * Everybody who reads what others hold, by the same rules as own blobs: a file that does not look as it did, or whose
 * check is too old, is checked chunk by chunk as it is read. What is wrong is no longer used; nothing is done to it.
 */
export class AlsoReaders {
  readonly #components: AlsoReadersComponents;
  readonly #recheck: number;
  readonly #passes = new Passes();
  readonly #files = new Set<BlobFile>();
  #closed = false;

  /** @param recheck in milliseconds */
  constructor(components: AlsoReadersComponents, recheck: number) {
    this.#components = components;
    this.#recheck = recheck;
  }

  /** @throws AgentError BLOB_ROTTEN, also where it is not held or can no longer be read; RangeError */
  async *read(digest: Digest, start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted();
    const entry = this.#enter(digest);
    const size = Number(entry.stamp.size);
    if (!(start >= 0 && start <= end && end <= size)) {
      throw new RangeError(`bytes ${start} to ${end} are not in a blob of ${size}`);
    }
    try {
      const file = await this.#open(entry);
      try {
        for await (const piece of aheadByOne(file.pieces(start, end))) {
          signal.throwIfAborted();
          yield piece;
        }
      } finally {
        await this.#close(file);
      }
    } catch (error) {
      throw this.#told(entry, error);
    }
  }

  /** undefined where there is no such chunk, or it can no longer be read. */
  async chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined> {
    signal.throwIfAborted();
    let entry: Entry | undefined;
    try {
      entry = this.#enter(digest);
      if (!Number.isInteger(index) || index < 0 || index >= layoutOf(Number(entry.stamp.size)).count) return undefined;
      const file = await this.#open(entry);
      try {
        const bytes = await file.chunk(index, into);
        signal.throwIfAborted();
        return bytes;
      } finally {
        await this.#close(file);
      }
    } catch (error) {
      const told = entry === undefined ? error : this.#told(entry, error);
      if (isAgentError(told, 'BLOB_ROTTEN')) return undefined;
      throw told;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#files].map((file) => file.close()));
  }

  #enter(digest: Digest): Entry {
    if (this.#closed) throw new AgentError('DRAINING', 'the store is closed');
    const entry = this.#components.ledger.files.held(digest);
    if (entry === undefined) throw rottenError(digest);
    return entry;
  }

  async #open(entry: Entry): Promise<BlobFile> {
    const { digest, stamp, mapRoot, checkedAt } = entry;
    const { ledger } = this.#components;
    const handle = await entry.place.source.open(digest);
    const record = { digest, size: Number(stamp.size), mediaType: null, root: mapRoot, stamp, checkedAt };
    const file = await blobFileOf(handle, record, () => ledger.mapOf(digest), {
      rotten: async (why) => this.#refuse(entry, why),
      passOf: (_, now, chunks) => this.#passOf(entry, now, chunks.count),
      passed: (_, pass, now) => this.#passed(entry, pass, now),
    });
    this.#files.add(file);
    if (this.#closed) await file.close();
    return file;
  }

  async #close(file: BlobFile): Promise<void> {
    this.#files.delete(file);
    await file.close();
  }

  #passOf({ digest, stamp, checkedAt }: Entry, found: Stamp, count: number): Pass | undefined {
    const now = this.#components.now();
    if (!isDue({ stamp, checkedAt }, found, now, this.#recheck)) return undefined;
    return this.#passes.of(digest, found, now, this.#recheck, count);
  }

  #passed(entry: Entry, pass: Pass, found: Stamp): void {
    this.#passes.end(entry.digest);
    if (!sameStamp(found, pass.stamp)) return;
    try {
      this.#components.ledger.renewed(entry, found, pass.startedAt);
    } catch (error) {
      this.#components.logger.warn(
        { err: error, digest: entry.digest },
        'a recheck cannot be noted; it will be made again',
      );
    }
  }

  #refuse(entry: Entry, why: string): void {
    const { ledger, logger, metrics } = this.#components;
    const { digest, place } = entry;
    this.#passes.end(digest);
    if (!ledger.refuse(entry)) return;
    metrics?.refusedChunks.inc({ source: 'store' });
    logger.warn({ digest, path: place.source.root, why }, 'a file of store.also is no longer used');
  }

  /** What cannot be read is as good as not there: who asked goes on elsewhere. */
  #told(entry: Entry, error: unknown): unknown {
    if (isAgentError(error)) return error;
    if (this.#closed) return new AgentError('DRAINING', 'the store is closed');
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') return error;
    // It is not wrong, only gone, as whatever is collected.
    if (code === 'ENOENT') this.#components.ledger.gone(entry.place, entry.digest);
    else this.#refuse(entry, message);
    return rottenError(entry.digest);
  }
}
