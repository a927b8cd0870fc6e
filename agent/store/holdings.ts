import type { Logger } from 'pino';
import { type ChunkMap, chunkMapRoot, encodeChunkMap } from '../../protocol/chunk-map.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { BlobIndex, BlobRecord, SizedDigest } from './blob-index.ts';
import { type Candidate, roomOf } from './eviction.ts';
import { type BlobListener, BlobListeners } from './listeners.ts';
import { Looked } from './looked.ts';
import type { Stamp } from './stamp.ts';
import type { HeldBlob } from './types.ts';

/** Uses are written together, this long after the first. Milliseconds. */
const TOUCH_DELAY = 5_000;

/** Or as soon as there are this many: they cost about a millisecond of the main thread. */
const MAX_TOUCHES = 128;

/** What holdings count into; prom-client's gauges fit. */
export interface HoldingsMetrics {
  readonly blobs: { set(value: number): void };
  readonly storedBytes: { set(value: number): void };
}

export interface HoldingsComponents {
  readonly index: BlobIndex;
  readonly logger: Logger;
  readonly now: () => number;
  readonly metrics: HoldingsMetrics | undefined;
  /** Bytes of a blob's file, at once; undefined where there is none. */
  sizeNow(digest: Digest): number | undefined;
}

/**
 * Which blobs are held: the index, what follows from it, and who wants to hear of it. Synchronous throughout. What the
 * index told of at start is believed when its file was looked at: in its turn, or here when somebody asks for it.
 */
export class Holdings {
  readonly index: BlobIndex;
  readonly looked = new Looked();
  readonly #sizeNow: (digest: Digest) => number | undefined;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #metrics: HoldingsMetrics | undefined;
  readonly #onHold: BlobListeners;
  readonly #onDrop: BlobListeners;
  /** Blobs whose row could not be removed (a full disk): they are gone all the same. */
  readonly #gone = new Set<Digest>();
  #closed = false;
  #touches = new Map<Digest, number>();
  #timer: NodeJS.Timeout | undefined;
  #lastUsed: number;
  #blobs: number;
  #bytes: number;
  #room: number;

  constructor({ index, logger, now, metrics, sizeNow }: HoldingsComponents) {
    this.index = index;
    this.#sizeNow = sizeNow;
    this.#logger = logger;
    this.#onHold = new BlobListeners(logger);
    this.#onDrop = new BlobListeners(logger);
    this.#now = now;
    this.#metrics = metrics;
    const { blobs, bytes, lastUsed } = index.totals();
    this.#blobs = blobs;
    this.#bytes = bytes;
    this.#lastUsed = lastUsed;
    this.#room = index.room();
    this.#show();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get(digest: Digest): BlobRecord | undefined {
    const record = this.#row(digest);
    return record === undefined || this.#isLookedAt(record) ? record : undefined;
  }

  /** The same, where it is for peers. */
  forPeers(digest: Digest): BlobRecord | undefined {
    const record = this.get(digest);
    return record === undefined || this.index.isPrivate(digest) ? undefined : record;
  }

  isPrivate(digest: Digest): boolean {
    return this.#closed || this.index.isPrivate(digest);
  }

  /** What is held already is gone as far as peers are concerned. */
  keepPrivate(digest: Digest, registry: string): void {
    const wasTold = this.forPeers(digest) !== undefined;
    this.index.keepPrivate(digest, registry);
    if (wasTold) this.#onDrop.tell(digest);
  }

  /** What is held of it is there for peers again. */
  disclose(digest: Digest): void {
    if (!this.isPrivate(digest)) return;
    this.index.forgetPrivate(digest);
    if (this.get(digest) !== undefined) this.#onHold.tell(digest);
  }

  /** Nothing of it is here any more. Where that cannot be noted it stays private, which does no harm. */
  forgetPrivate(digest: Digest): void {
    try {
      this.index.forgetPrivate(digest);
    } catch (error) {
      this.#logger.warn({ err: error, digest }, 'the store cannot forget that a blob was private');
    }
  }

  /** The chunk map of a held blob, encoded. */
  mapOf(digest: Digest): Uint8Array | undefined {
    return this.get(digest) && this.index.map(digest);
  }

  totals(): { blobs: number; bytes: number } {
    return { blobs: this.#blobs, bytes: this.#bytes };
  }

  /** What the blobs take of the disk. Bytes. */
  get room(): number {
    return this.#room;
  }

  /** The blobs, the one used longest ago first. Nothing may be held or dropped while it is read. */
  *byLastUse(): Generator<Candidate> {
    if (this.#closed) return;
    this.flush();
    for (const blob of this.index.byLastUse()) if (!this.#gone.has(blob.digest)) yield blob;
  }

  /** Notes a use, to be written with others. */
  use(digest: Digest): void {
    this.#touches.set(digest, this.#tick());
    if (this.#touches.size >= MAX_TOUCHES) this.flush();
    this.#timer ??= setTimeout(() => this.flush(), TOUCH_DELAY).unref();
  }

  /** Writes the uses noted so far. They only order blobs: when they cannot be written, that is not worth a failure. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const touches = this.#touches;
    this.#touches = new Map();
    if (touches.size === 0) return;
    try {
      this.index.touch(touches);
    } catch (error) {
      this.#logger.warn({ err: error }, 'the store cannot note which blobs were used');
    }
  }

  recent(limit: number): Digest[] {
    if (this.#closed) return [];
    this.flush();
    return this.index
      .recent(limit)
      .filter((row) => !this.#gone.has(row.digest) && this.#isLookedAt(row))
      .map((row) => row.digest);
  }

  /** Takes in a blob whose file is in its place. */
  hold(map: ChunkMap, mediaType: string | null, stamp: Stamp): HeldBlob {
    const { digest, layout } = map;
    const before = this.#row(digest);
    // Of a row that was not looked at nobody was told.
    const isNews = before === undefined || !this.looked.has(digest);
    const known = mediaType ?? before?.mediaType ?? null;
    const root = chunkMapRoot(map);
    const record = { digest, size: layout.size, mediaType: known, root, stamp, checkedAt: this.#now() };
    this.index.put(record, encodeChunkMap(map), this.#tick());
    this.#gone.delete(digest);
    this.looked.add(digest);
    if (before === undefined) this.#blobs++;
    this.#bytes += layout.size - (before?.size ?? 0);
    this.#room += roomOf(layout.size) - (before === undefined ? 0 : roomOf(before.size));
    this.#show();
    if (isNews && !this.index.isPrivate(digest)) this.#onHold.tell(digest);
    return { digest, size: layout.size, mediaType: known };
  }

  /** A held blob, whose media type is noted where it is told. */
  describe({ digest, size, mediaType: known }: BlobRecord, mediaType: string | null): HeldBlob {
    if (mediaType !== null && mediaType !== known) this.index.setMediaType(digest, mediaType);
    return { digest, size, mediaType: mediaType ?? known };
  }

  /** Notes that all of a blob matched. One that was dropped meanwhile stays so. */
  renew(digest: Digest, stamp: Stamp, checkedAt: number): void {
    try {
      this.index.renew(digest, stamp, checkedAt);
    } catch (error) {
      this.#logger.warn({ err: error, digest }, 'the store cannot note a recheck; it will be made again');
    }
  }

  /** Forgets a blob at once. @returns what it was, where it was held */
  drop(digest: Digest): BlobRecord | undefined {
    return this.get(digest) && this.dropAll([digest])[0];
  }

  /**
   * Forgets blobs at once, in one transaction, also those whose files nobody has looked at: what is of no use is not
   * looked at first. @returns those of them that the index told of
   */
  dropAll(digests: Iterable<Digest>): BlobRecord[] {
    const records = [...new Set(digests)].flatMap((digest) => this.#row(digest) ?? []);
    const told = records.filter(({ digest }) => this.looked.has(digest) && !this.index.isPrivate(digest));
    this.#forget(records);
    for (const { digest } of told) this.#onDrop.tell(digest);
    return records;
  }

  /**
   * What comes of a look at the file of a row, which has `found` bytes: it is held, or forgotten. Nobody was told of it.
   * What is left of a file of another size is an orphan.
   */
  look(row: SizedDigest, found: number | undefined): boolean {
    const { digest, size } = row;
    if (found === size) {
      this.looked.add(digest);
      return true;
    }
    // There may be as many as there are blobs: who took away all of them is told so once, by the reconciliation.
    this.#logger.debug({ digest, size, found }, 'the file of a held blob is gone or of another size; it was dropped');
    this.#forget([row]);
    return false;
  }

  onHold(listener: BlobListener): () => void {
    return this.#onHold.add(listener);
  }

  onDrop(listener: BlobListener): () => void {
    return this.#onDrop.add(listener);
  }

  async close(): Promise<void> {
    this.flush();
    this.#closed = true;
    await this.index.close();
  }

  #row(digest: Digest): BlobRecord | undefined {
    return this.#closed || this.#gone.has(digest) ? undefined : this.index.get(digest);
  }

  #isLookedAt(row: SizedDigest): boolean {
    if (this.looked.has(row.digest)) return true;
    try {
      return this.look(row, this.#sizeNow(row.digest));
    } catch (error) {
      // Neither believed nor forgotten.
      this.#logger.warn({ err: error, digest: row.digest }, 'the file of a held blob cannot be looked at');
      return false;
    }
  }

  /** Rows that are there. The reconciliation, which may have just read them, passes over them. */
  #forget(rows: readonly SizedDigest[]): void {
    if (rows.length === 0) return;
    try {
      this.index.remove([...this.#gone, ...rows.map(({ digest }) => digest)]);
      this.#gone.clear();
    } catch (error) {
      for (const { digest } of rows) this.#gone.add(digest);
      this.#logger.warn(
        { err: error, digest: rows[0]?.digest, blobs: rows.length },
        'the index of the store cannot forget a blob; it is gone all the same',
      );
    }
    for (const { digest, size } of rows) {
      this.looked.add(digest);
      this.#touches.delete(digest);
      this.#blobs--;
      this.#bytes -= size;
      this.#room -= roomOf(size);
    }
    this.#show();
  }

  /** The time, but never the same twice: two uses in one millisecond have an order too. */
  #tick(): number {
    this.#lastUsed = Math.max(Math.trunc(this.#now()), this.#lastUsed + 1);
    return this.#lastUsed;
  }

  #show(): void {
    this.#metrics?.blobs.set(this.#blobs);
    this.#metrics?.storedBytes.set(this.#bytes);
  }
}
