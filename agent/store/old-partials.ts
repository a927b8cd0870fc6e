import { join } from 'node:path';
import { type Digest, isDigest } from '../../protocol/digest.ts';
import type { Files } from './files.ts';
import type { Layout } from './layout.ts';

/** A partial that nobody touched for so long is not wanted any more. Milliseconds (24 h). */
export const PARTIAL_LIFETIME = 24 * 60 * 60 * 1000;

/** The digests that files in `partials/` are of. */
export async function partialDigests(files: Files, layout: Layout): Promise<Set<Digest>> {
  const digests = new Set<Digest>();
  for await (const name of files.readdir(layout.partials)) {
    const digest = name.replace(/\.journal(?:\.tmp)?$/, '').replace('-', ':');
    // Whatever else lies there is not ours to remove.
    if (isDigest(digest)) digests.add(digest);
  }
  return digests;
}

/**
 * Removes what is worth nothing of a partial that is not open: one untouched for {@link PARTIAL_LIFETIME}, one whose
 * blob is held, bytes without a journal, a journal without bytes, and a journal's half-written successor.
 * @returns whether that was the partial
 */
export async function removeOld(
  files: Files,
  layout: Layout,
  digest: Digest,
  { isHeld, now }: { readonly isHeld: boolean; readonly now: number },
): Promise<boolean> {
  await files.rm(`${layout.journal(digest)}.tmp`);
  const pair = [layout.partial(digest), layout.journal(digest)];
  const touched = await Promise.all(pair.map((path) => touchedAt(files, path)));
  const isWhole = touched.every((at) => at !== undefined);
  if (!isHeld && isWhole && now - Math.max(...touched) < PARTIAL_LIFETIME) return false;
  for (const path of pair) await files.rm(path);
  return isWhole;
}

/** Milliseconds since the epoch; undefined where there is no such file. */
async function touchedAt(files: Files, path: string): Promise<number | undefined> {
  try {
    return Number((await files.stat(path)).mtimeMs);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Empties the directory of what came whole and did not arrive: nobody can be writing there yet. */
export async function emptyTmp(files: Files, layout: Layout): Promise<void> {
  for await (const name of files.readdir(layout.tmp)) await files.rm(join(layout.tmp, name));
}
