import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Stamp, stampOf } from './stamp.ts';

/**
 * Writes `bytes` to `tmp`, fsyncs, renames to `path` and fsyncs the directory: after it they are there whole, and
 * after a crash whole or not at all.
 * @returns what the file looks like in its place
 */
export async function writeDurably(tmp: string, path: string, bytes: Uint8Array): Promise<Stamp> {
  const handle = await open(tmp, 'w');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
    await rename(tmp, path);
    await syncDirectory(dirname(path));
    // After the rename: it changes the file's change time.
    return stampOf(await handle.stat({ bigint: true }));
  } catch (error) {
    await rm(tmp, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** A rename is on disk only when its directory is. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
