import type { ChunkLayout } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Files, OpenFile } from './files.ts';
import {
  encodeHeader,
  encodeRecord,
  HEADER_LENGTH,
  type JournalRecord,
  type Mark,
  RECORD_LENGTH,
  readJournal,
} from './journal-format.ts';
import { fill, writeAll } from './pieces.ts';
import { WriteQueue } from './write-queue.ts';

/** Records a journal may hold beyond one a chunk, in multiples of the chunks, before it is written anew. */
const SLACK = 4;
const MIN_SLACK = 64;

/** Records that are written at once. */
interface Batch {
  readonly records: JournalRecord[];
  readonly written: Promise<void>;
}

/**
 * What is known of a partial's chunks, appended as it becomes known. It is not fsynced: after a power cut the chunks
 * are matched against their records anyway, and what was lost is fetched again.
 */
export class Journal {
  readonly #files: Files;
  readonly #path: string;
  readonly #digest: Digest;
  readonly #layout: ChunkLayout;
  #handle: OpenFile;
  /** Where the next record goes. Bytes. */
  #end: number;
  /** Whose write has not begun: what comes meanwhile joins it, since a call to the disk costs more than its bytes. */
  #batch: Batch | undefined;
  readonly #writes = new WriteQueue(1);

  constructor(files: Files, path: string, digest: Digest, layout: ChunkLayout, handle: OpenFile, end: number) {
    this.#files = files;
    this.#path = path;
    this.#digest = digest;
    this.#layout = layout;
    this.#handle = handle;
    this.#end = end;
  }

  /**
   * Appends records. A failed append leaves the end where it was, so that the next one covers its torn bytes; whole
   * records of it may stay behind that one, and are matched like all before they are believed.
   * @param marks the marks as they are without these records, should the journal be due to be written anew
   */
  append(records: readonly JournalRecord[], marks: () => Iterable<Mark>): Promise<void> {
    if (this.#batch === undefined) {
      const all: JournalRecord[] = [];
      this.#batch = { records: all, written: this.#writes.run(() => this.#write(all, marks)) };
    }
    this.#batch.records.push(...records);
    return this.#batch.written;
  }

  close(): Promise<void> {
    return this.#writes.run(() => this.#handle.close());
  }

  async #write(records: readonly JournalRecord[], marks: () => Iterable<Mark>): Promise<void> {
    this.#batch = undefined;
    const bytes = Buffer.concat(records.map(encodeRecord));
    const limit = HEADER_LENGTH + RECORD_LENGTH * (MIN_SLACK + SLACK * this.#layout.count);
    if (this.#end + bytes.length > limit) {
      await this.#rewrite(withRecords(marks(), records));
      return;
    }
    await writeAll(this.#handle, bytes, this.#end);
    this.#end += bytes.length;
  }

  async #rewrite(marks: Iterable<Mark>): Promise<void> {
    const end = await writeJournal(this.#files, this.#path, this.#digest, this.#layout, marks);
    const handle = await this.#files.open(this.#path, 'r+');
    const before = this.#handle;
    this.#handle = handle;
    this.#end = end;
    await before.close();
  }
}

function withRecords(marks: Iterable<Mark>, records: readonly JournalRecord[]): Iterable<Mark> {
  const byIndex = new Map(Array.from(marks, (mark) => [mark.index, mark]));
  for (const record of records) {
    if (record.source === undefined) byIndex.delete(record.index);
    else byIndex.set(record.index, record);
  }
  return byIndex.values();
}

/** Writes a journal of exactly `marks`, in place of any that is there. @returns its length in bytes */
export async function writeJournal(
  files: Files,
  path: string,
  digest: Digest,
  layout: ChunkLayout,
  marks: Iterable<Mark>,
): Promise<number> {
  const bytes = Buffer.concat([encodeHeader(digest, layout.size), ...Array.from(marks, encodeRecord)]);
  const tmp = `${path}.tmp`;
  try {
    const handle = await files.open(tmp, 'w');
    try {
      await writeAll(handle, bytes, 0);
    } finally {
      await handle.close();
    }
    await files.rename(tmp, path);
  } catch (error) {
    await files.rm(tmp).catch(() => {});
    throw error;
  }
  return bytes.length;
}

/** The most a journal of `count` chunks may take, with the one that is written in its place. Bytes. */
export function journalRoom(count: number): number {
  return 2 * (HEADER_LENGTH + RECORD_LENGTH * (MIN_SLACK + SLACK * count));
}

/** The marks in the journal at `path`: none where it is not one of this blob; undefined where there is no journal. */
export async function loadJournal(
  files: Files,
  path: string,
  digest: Digest,
  layout: ChunkLayout,
): Promise<Mark[] | undefined> {
  // What cannot be a journal of this blob is not read into memory.
  const longest = HEADER_LENGTH + RECORD_LENGTH * (MIN_SLACK + (SLACK + 1) * layout.count);
  let handle: OpenFile;
  try {
    handle = await files.open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const size = Number((await handle.stat({ bigint: true })).size);
    if (size > longest) return [];
    const bytes = Buffer.alloc(size);
    return readJournal(bytes.subarray(0, await fill(handle, bytes, 0)), digest, layout);
  } finally {
    await handle.close();
  }
}

/** Opens the journal anew, with exactly `marks`. */
export async function createJournal(
  files: Files,
  path: string,
  digest: Digest,
  layout: ChunkLayout,
  marks: Iterable<Mark>,
): Promise<Journal> {
  const end = await writeJournal(files, path, digest, layout, marks);
  return new Journal(files, path, digest, layout, await files.open(path, 'r+'), end);
}

/** Begins a journal where there is none. A header that is torn by a crash is that of no journal. */
export async function beginJournal(files: Files, path: string, digest: Digest, layout: ChunkLayout): Promise<Journal> {
  const header = encodeHeader(digest, layout.size);
  const handle = await files.open(path, 'wx+');
  try {
    await writeAll(handle, header, 0);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return new Journal(files, path, digest, layout, handle, header.length);
}
