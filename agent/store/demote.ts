import { type ChunkMap, chunkHash } from '../../protocol/chunk-map.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Files } from './files.ts';
import { writeJournal } from './journal.ts';
import type { Mark } from './journal-format.ts';
import type { Layout } from './layout.ts';

/**
 * Makes a blob that was dropped into a partial whose journal tells of every chunk: opening it keeps those that still
 * match. A crash in between leaves a blob without a row and with a journal, which {@link demoteOrphan} finishes.
 */
export async function demote(files: Files, layout: Layout, map: ChunkMap): Promise<void> {
  await writeJournal(files, layout.journal(map.digest), map.digest, map.layout, marksOf(map));
  await demoteOrphan(files, layout, map.digest);
}

/** Moves a blob that no row tells of beside its journal. */
async function demoteOrphan(files: Files, layout: Layout, digest: Digest): Promise<void> {
  try {
    await files.rename(layout.blob(digest), layout.partial(digest));
    // A power cut may have left one file under both names: then rename(2) does nothing.
    await files.rm(layout.blob(digest));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // The file is gone altogether; its journal tells of nothing.
    await files.rm(layout.journal(digest));
  }
}

/**
 * Takes a file that no row tells of out of `blobs/`: with a journal it becomes a partial again. Called in turn.
 * @returns what became of it; undefined where there was none
 */
export async function takeBack(
  files: Files,
  layout: Layout,
  digest: Digest,
): Promise<'demoted' | 'removed' | undefined> {
  if (!(await isThere(files, layout.blob(digest)))) return undefined;
  if (await isThere(files, layout.journal(digest))) {
    await demoteOrphan(files, layout, digest);
    return 'demoted';
  }
  await files.rm(layout.blob(digest));
  return 'removed';
}

async function isThere(files: Files, path: string): Promise<boolean> {
  try {
    await files.stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function* marksOf(map: ChunkMap): Iterable<Mark> {
  for (let index = 0; index < map.layout.count; index++) {
    // The whole once matched together with this map: its hashes are as good as upstream's word.
    yield { index, source: 'upstream', sha256: chunkHash(map, index) };
  }
}
