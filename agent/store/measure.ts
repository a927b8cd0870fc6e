import type { BigIntStats } from 'node:fs';
import { basename, join } from 'node:path';
import type { Digest } from '../../protocol/digest.ts';
import type { Leftover } from './account.ts';
import type { Files } from './files.ts';
import { ALGORITHMS, type Layout } from './layout.ts';

/** st_blocks are of this many bytes, whatever the file system's are. */
const STAT_BLOCK = 512;

/**
 * SQLite's log grows to 1,000 pages of 4 KiB before it is written back and begun anew, and keeps that size: it counts
 * as if it had it from the start. Bytes.
 */
const LOG_ROOM = 4 * 1024 * 1024;

/** What index and directories may grow by between two looks. Bytes. */
const GROWTH = 1024 * 1024;

/** What the store's directory takes beside blobs and partials: index, identity, the directories themselves. Bytes. */
export async function measureRest(files: Files, layout: Layout): Promise<number> {
  const directories = [layout.root, layout.partials, layout.tmp, ...ALGORITHMS.map((each) => layout.blobs(each))];
  const ofDirectory = async (path: string) => allocated(await look(files, path));
  const log = `${basename(layout.index)}-wal`;
  const ofFile = async (name: string) => {
    const stats = await look(files, join(layout.root, name));
    if (stats?.isFile() !== true) return 0;
    return name === log ? Math.max(0, allocated(stats) - LOG_ROOM) : allocated(stats);
  };
  const names: string[] = [];
  for await (const name of files.readdir(layout.root)) names.push(name);
  // All at once: somebody may wait for it before his first byte.
  const rooms = await Promise.all([...directories.map(ofDirectory), ...names.map(ofFile)]);
  return rooms.reduce((sum, room) => sum + room, LOG_ROOM + GROWTH);
}

/** What is on disk of a partial; undefined: nothing. */
export async function measurePartial(files: Files, layout: Layout, digest: Digest): Promise<Leftover | undefined> {
  const found = await Promise.all([look(files, layout.partial(digest)), look(files, layout.journal(digest))]);
  if (found.every((stats) => stats === undefined)) return undefined;
  return {
    room: found.reduce((sum, stats) => sum + allocated(stats), 0),
    lastUsed: Math.max(...found.map((stats) => Number(stats?.mtimeMs ?? 0))),
  };
}

async function look(files: Files, path: string): Promise<BigIntStats | undefined> {
  try {
    return await files.stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

function allocated(stats: BigIntStats | undefined): number {
  return stats === undefined ? 0 : Number(stats.blocks) * STAT_BLOCK;
}
