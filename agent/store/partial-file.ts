import { type ChunkLayout, chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Files, OpenFile } from './files.ts';
import { beginJournal, createJournal, type Journal, loadJournal } from './journal.ts';
import type { Mark } from './journal-format.ts';
import type { Layout } from './layout.ts';
import { fill } from './pieces.ts';
import { sumOf } from './sums.ts';

/** Chunks that are read and hashed at once when a partial is resumed: as many as keep the disk and a core busy. */
const CHECKS = 2;

/** A partial's bytes, its journal, and the marks that still hold. */
export interface PartialFile {
  readonly handle: OpenFile;
  readonly journal: Journal;
  readonly marks: readonly Mark[];
  /** Marks of the journal that no longer matched the bytes. */
  readonly lost: number;
}

/**
 * Opens the partial's files, making them where there are none, and matches every chunk that the journal tells of.
 * @throws what `signal` was aborted with
 */
export async function openPartialFile(
  files: Files,
  layout: Layout,
  digest: Digest,
  chunks: ChunkLayout,
  signal: AbortSignal,
): Promise<PartialFile> {
  signal.throwIfAborted();
  const told = await loadJournal(files, layout.journal(digest), digest, chunks);
  if (told === undefined) return await beginPartialFile(files, layout, digest, chunks);
  // Bytes that no journal speaks for are worth nothing; emptied, they do not count on the disk either.
  if (told.length === 0) await files.rm(layout.partial(digest));
  const handle = await openOrCreate(files, layout.partial(digest));
  try {
    // Sparse: a blob takes room as it comes.
    await handle.truncate(chunks.size);
    const marks = await matching(handle, chunks, told, signal);
    const journal = await createJournal(files, layout.journal(digest), digest, chunks, marks);
    return { handle, journal, marks, lost: told.length - marks.length };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The same where nothing is known of the blob, as nearly always: a client waits, so that each call to the disk counts. */
async function beginPartialFile(files: Files, layout: Layout, digest: Digest, chunks: ChunkLayout) {
  const [handle, journal] = await Promise.allSettled([
    createPartialFile(files, layout.partial(digest), chunks.size),
    beginJournal(files, layout.journal(digest), digest, chunks),
  ]);
  if (handle.status === 'fulfilled' && journal.status === 'fulfilled') {
    return { handle: handle.value, journal: journal.value, marks: [], lost: 0 };
  }
  if (handle.status === 'fulfilled') await handle.value.close();
  if (journal.status === 'fulfilled') await journal.value.close();
  throw handle.status === 'rejected' ? handle.reason : (journal as PromiseRejectedResult).reason;
}

/** A sparse file of `size` bytes, in place of one that no journal speaks for. */
async function createPartialFile(files: Files, path: string, size: number): Promise<OpenFile> {
  const handle = await files.open(path, 'wx+').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    await files.rm(path);
    return await files.open(path, 'wx+');
  });
  try {
    await handle.truncate(size);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openOrCreate(files: Files, path: string): Promise<OpenFile> {
  try {
    return await files.open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return await files.open(path, 'wx+');
  }
}

async function matching(handle: OpenFile, chunks: ChunkLayout, told: readonly Mark[], signal: AbortSignal) {
  const good: Mark[] = [];
  const queue = told.values();
  const check = async () => {
    // One buffer a lane, used again: the hash is awaited before the next read.
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunks.chunkSize, chunks.size));
    for (const mark of queue) {
      signal.throwIfAborted();
      const chunk = buffer.subarray(0, chunkLength(chunks, mark.index));
      if (await matches(handle, chunk, chunkStart(chunks, mark.index), mark.sha256)) good.push(mark);
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(CHECKS, told.length) }, check));
  for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
  return good.sort((a, b) => a.index - b.index);
}

async function matches(handle: OpenFile, chunk: Buffer, position: number, sha256: Uint8Array): Promise<boolean> {
  try {
    if ((await fill(handle, chunk, position)) < chunk.length) return false;
  } catch (error) {
    // A sector that cannot be read is a chunk that is not there.
    if ((error as NodeJS.ErrnoException).code === 'EIO') return false;
    throw error;
  }
  return Buffer.compare(await sumOf('sha256', chunk), sha256) === 0;
}
