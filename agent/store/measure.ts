import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Digest, isDigest } from '../../protocol/digest.ts';
import type { Leftover } from './account.ts';
import { ALGORITHMS, JOURNAL_SUFFIX, type Layout } from './layout.ts';

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
export async function measureRest(layout: Layout): Promise<number> {
  const directories = [layout.root, layout.partials, layout.tmp, ...ALGORITHMS.map((each) => layout.blobs(each))];
  const entries = await readdir(layout.root, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => join(layout.root, name));
  const log = `${basename(layout.index)}-wal`;
  let room = LOG_ROOM + GROWTH;
  for (const path of [...directories, ...files]) {
    const taken = allocated(await look(path));
    room += basename(path) === log ? Math.max(0, taken - LOG_ROOM) : taken;
  }
  return room;
}

/** What is on disk of a partial; undefined: nothing. */
export async function measurePartial(layout: Layout, digest: Digest): Promise<Leftover | undefined> {
  const found = await Promise.all([look(layout.partial(digest)), look(layout.journal(digest))]);
  if (found.every((stats) => stats === undefined)) return undefined;
  return {
    room: found.reduce((sum, stats) => sum + allocated(stats), 0),
    lastUsed: Math.max(...found.map((stats) => stats?.mtimeMs ?? 0)),
  };
}

/** Every digest of which something lies among the partials. */
export async function partialsThere(layout: Layout): Promise<Set<Digest>> {
  const names = await readdir(layout.partials);
  const digests = names.map((name) => name.replace(JOURNAL_SUFFIX, '').replace('-', ':'));
  return new Set(digests.filter(isDigest));
}

async function look(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

function allocated(stats: Stats | undefined): number {
  return stats === undefined ? 0 : stats.blocks * STAT_BLOCK;
}
