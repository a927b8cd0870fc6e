import { CHUNK_HASH_LENGTH, type ChunkMap, chunkMap } from '../../protocol/chunk-map.ts';
import { type ChunkLayout, chunkLength, chunkStart } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, toDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { syncDirectory } from './durable.ts';
import type { Files, OpenFile } from './files.ts';
import type { HashThread } from './hash-thread.ts';
import type { Journal } from './journal.ts';
import type { Layout } from './layout.ts';
import { Marks } from './marks.ts';
import type { PartialFile } from './partial-file.ts';
import { fill, writeAll } from './pieces.ts';
import { type Stamp, stampOf } from './stamp.ts';
import type { HeldBlob, Partial, Source } from './types.ts';
import { WholeHash } from './whole-hash.ts';
import { WriteQueue } from './write-queue.ts';

/** What a partial needs of the store around it. */
export interface PartialComponents {
  readonly files: Files;
  readonly layout: Layout;
  readonly hashThread: HashThread;
  /** Puts the blob, whose file is in its place, into the index, and has it on disk when it resolves. */
  hold(map: ChunkMap, mediaType: string | null, stamp: Stamp): Promise<HeldBlob>;
  /** Runs `work` when nothing else moves the files of this digest. */
  inTurn<Result>(digest: Digest, work: () => Promise<Result>): Promise<Result>;
  /** Told once, when closing begins; `done` resolves when the files may be opened again, and never rejects. */
  released(digest: Digest, done: Promise<void>): void;
}

export function createPartial(
  components: PartialComponents,
  digest: Digest,
  chunks: ChunkLayout,
  file: PartialFile,
): Partial {
  return new DiskPartial(components, digest, chunks, file);
}

/**
 * What is written is brought to the disk this often, beside everything else: else the fsync of a large blob, which the
 * last chunk's readers wait for, would write all of it at once. Bytes.
 */
const SYNC_EVERY = 64 * 1024 * 1024;

/**
 * The kernel lets one write into a file at a time, and threads that wait for it spin: where all went in at once, that was a
 * twentieth of a pull's CPU. A second one is there when the first is done, however busy the main loop is.
 */
const WRITES_AT_A_TIME = 2;

interface Stretch {
  readonly start: number;
  readonly end: number;
}

class DiskPartial implements Partial {
  readonly digest: Digest;
  readonly layout: ChunkLayout;
  readonly #components: PartialComponents;
  readonly #handle: OpenFile;
  readonly #journal: Journal;
  readonly #marks: Marks;
  readonly #whole: WholeHash;
  /** Writes under way. */
  readonly #writing = new Set<Stretch>();
  readonly #writes = new WriteQueue(WRITES_AT_A_TIME);
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  #syncFailure: unknown;
  /** The commit under way. Never rejects. */
  #committing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(components: PartialComponents, digest: Digest, layout: ChunkLayout, file: PartialFile) {
    this.digest = digest;
    this.layout = layout;
    this.#components = components;
    this.#handle = file.handle;
    this.#journal = file.journal;
    this.#marks = new Marks(layout.count);
    for (const mark of file.marks) this.#marks.set(mark);
    this.#whole = new WholeHash(components.hashThread, algorithmOf(digest), file.handle.fd);
    this.#whole.extend(this.#prefixEnd());
  }

  get marked(): number {
    return this.#marks.count;
  }

  sourceOf(index: number): Source | undefined {
    return this.#marks.source(index);
  }

  hashOf(index: number): Uint8Array | undefined {
    return this.#marks.hash(index);
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    this.#assertWritable();
    const stretch = { start: position, end: position + bytes.length };
    this.#assertInside(stretch);
    if (bytes.length === 0) return;
    const last = Math.floor((stretch.end - 1) / this.layout.chunkSize);
    for (let index = Math.floor(position / this.layout.chunkSize); index <= last; index++) {
      // The whole's hash may have passed over it: other bytes would be committed unseen.
      if (this.#marks.source(index) !== undefined) throw new Error(`chunk ${index} of ${this.digest} is marked`);
    }
    this.#writing.add(stretch);
    try {
      await this.#writes.run(() => writeAll(this.#handle, bytes, position));
    } finally {
      this.#writing.delete(stretch);
    }
    this.#unsynced += bytes.length;
    if (this.#unsynced >= SYNC_EVERY && this.#syncing === undefined) this.#syncing = this.#sync();
  }

  async mark(index: number, sha256: Uint8Array, source: Source): Promise<void> {
    this.#assertWritable();
    if (!Number.isInteger(index) || index < 0 || index >= this.layout.count) throw new RangeError(`no chunk ${index}`);
    if (sha256.length !== CHUNK_HASH_LENGTH) throw new RangeError('a chunk has a SHA-256');
    const start = chunkStart(this.layout, index);
    const end = start + chunkLength(this.layout, index);
    for (const stretch of this.#writing) {
      if (stretch.start < end && stretch.end > start) throw new Error(`chunk ${index} is still being written`);
    }
    const mark = { index, source, sha256: Uint8Array.from(sha256) };
    await this.#journal.append([mark], () => this.#marks.all());
    // An unmark or a commit may have come in between only where the owner does two things at once; then it is theirs.
    this.#marks.set(mark);
    this.#whole.extend(this.#prefixEnd());
  }

  async unmark(indexes: Iterable<number>): Promise<void> {
    this.#assertWritable();
    const dropped = [...indexes].filter((index) => this.#marks.source(index) !== undefined);
    if (dropped.length === 0) return;
    for (const index of dropped) this.#marks.delete(index);
    this.#whole.rewind(this.#prefixEnd());
    const records = dropped.map((index) => ({ index, source: undefined }));
    await this.#journal.append(records, () => this.#marks.all());
  }

  async read(position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    if (this.#closed !== undefined) throw new Error(`the partial of ${this.digest} is closed`);
    this.#assertInside({ start: position, end: position + length });
    const bytes = into?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length);
    if ((await fill(this.#handle, bytes, position)) < length) throw new Error(`the partial of ${this.digest} was cut`);
    return bytes;
  }

  async commit(mediaType: string | null): Promise<HeldBlob> {
    this.#assertWritable();
    if (this.marked < this.layout.count || this.#writing.size > 0) {
      throw new Error(`${this.digest} has ${this.marked} of ${this.layout.count} chunks`);
    }
    const result = this.#commit(mediaType);
    const committing = result.then(
      () => {},
      () => {},
    );
    this.#committing = committing;
    try {
      return await result;
    } finally {
      this.#committing = undefined;
    }
  }

  async close(): Promise<void> {
    // A commit that has begun is let finish, whichever way.
    await this.#committing;
    await this.#end(false);
  }

  async discard(): Promise<void> {
    await this.#committing;
    await this.#end(true);
  }

  async #commit(mediaType: string | null): Promise<HeldBlob> {
    const found = toDigest(algorithmOf(this.digest), await this.#sum());
    if (found !== this.digest) {
      throw new AgentError('DIGEST_MISMATCH', `what was fetched as ${this.digest} is ${found}`);
    }
    await this.#syncing;
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
    await this.#bringToDisk();
    const held = await this.#components.inTurn(this.digest, () => this.#place(mediaType));
    // The journal goes last: it is what a crash in between is mended with. The blob is held by now, so that a journal
    // that cannot be removed is not the caller's trouble; the next start removes it.
    await this.#end(true).catch(() => {});
    return held;
  }

  async #place(mediaType: string | null): Promise<HeldBlob> {
    const { files, layout, hold } = this.#components;
    await files.rename(layout.partial(this.digest), layout.blob(this.digest));
    try {
      await syncDirectory(files, layout.blobs(algorithmOf(this.digest)));
      // After the rename: it changes the file's change time.
      const stamp = stampOf(await this.#handle.stat({ bigint: true }));
      return await hold(chunkMap(this.digest, this.layout.size, this.#marks.hashes), mediaType, stamp);
    } catch (error) {
      // Directory or index cannot be written (a full disk): a partial again, with its journal, so that nothing is lost.
      await files.rename(layout.blob(this.digest), layout.partial(this.digest));
      throw error;
    }
  }

  #end(remove: boolean): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = this.#release(remove);
      this.#components.released(
        this.digest,
        this.#closed.catch(() => {}),
      );
    }
    return this.#closed;
  }

  async #release(remove: boolean): Promise<void> {
    const { files, layout } = this.#components;
    try {
      // The hash thread reads by descriptor: closed too early, its number could be another file's.
      await this.#whole.close();
    } finally {
      // Those that wait for their turn would find it closed; it waits itself for what is under way.
      await this.#writes.ended();
      await this.#handle.close();
      await this.#journal.close();
    }
    // After a failed fsync the kernel may show bytes that are not on disk, and no fsync tells of them again.
    if (!remove && this.#syncFailure === undefined) return;
    await files.rm(layout.partial(this.digest));
    await files.rm(layout.journal(this.digest));
  }

  async #sum(): Promise<Uint8Array> {
    try {
      return await this.#whole.sum(this.layout.size);
    } catch (error) {
      // It has been tried twice, in two threads. What a thread could not read it tells in words alone.
      throw new AgentError('STORE_FAILING', `the store cannot read ${this.digest}: ${error}`, { cause: error });
    }
  }

  async #bringToDisk(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      this.#syncFailure = error;
      throw error;
    }
  }

  /** Never rejects. A failure is kept for the commit: the kernel tells of lost pages once, and the next fsync succeeds. */
  async #sync(): Promise<void> {
    this.#unsynced = 0;
    try {
      await this.#handle.datasync();
    } catch (error) {
      this.#syncFailure = error;
    }
    this.#syncing = undefined;
  }

  #prefixEnd(): number {
    return Math.min(this.#marks.prefix * this.layout.chunkSize, this.layout.size);
  }

  #assertWritable(): void {
    if (this.#closed !== undefined) throw new Error(`the partial of ${this.digest} is closed`);
    if (this.#committing !== undefined) throw new Error(`the partial of ${this.digest} is being committed`);
  }

  #assertInside({ start, end }: Stretch): void {
    if (!Number.isSafeInteger(start) || start < 0 || end < start || end > this.layout.size) {
      throw new RangeError(`bytes ${start} to ${end} are not in a blob of ${this.layout.size}`);
    }
  }
}
