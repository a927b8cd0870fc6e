import { dirname } from 'node:path';
import type { Files } from './files.ts';
import { writeAll } from './pieces.ts';
import { type Stamp, stampOf } from './stamp.ts';

/**
 * Writes `bytes` to `tmp`, fsyncs, renames to `path` and fsyncs the directory: after it they are there whole, and
 * after a crash whole or not at all.
 * @returns what the file looks like in its place
 */
export async function writeDurably(files: Files, tmp: string, path: string, bytes: Uint8Array): Promise<Stamp> {
  const handle = await files.open(tmp, 'w');
  try {
    await writeAll(handle, bytes, 0);
    await handle.sync();
    await files.rename(tmp, path);
    await syncDirectory(files, dirname(path));
    // After the rename: it changes the file's change time.
    return stampOf(await handle.stat({ bigint: true }));
  } catch (error) {
    // What cannot be removed the next start removes.
    await files.rm(tmp).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

/** A rename is on disk only when its directory is. */
export async function syncDirectory(files: Files, path: string): Promise<void> {
  const handle = await files.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
