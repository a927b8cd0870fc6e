import { join } from 'node:path';
import type { Logger } from 'pino';
import { algorithmOf, type Digest, hexOf, isDigest } from '../../protocol/digest.ts';
import type { BlobIndex } from './blob-index.ts';
import { demoteOrphan } from './demote.ts';
import type { Files } from './files.ts';
import { ALGORITHMS, JOURNAL_SUFFIX, type Layout } from './layout.ts';

/** A partial that nobody touched for so long is not wanted any more. Milliseconds (24 h). */
export const PARTIAL_LIFETIME = 24 * 60 * 60 * 1000;

/**
 * Makes index and files agree, at start, before anybody reads. It lists directories and reads no blob and asks for
 * the state of none: whether a file is as recorded is seen anyway each time it is opened, so that a start costs
 * microseconds a blob.
 *
 * - A row without its file is dropped.
 * - A file without its row but with its partial's journal was on its way in (renamed, not yet indexed) or out
 *   (found rotten): it becomes a partial again, and whoever wants it next checks it against the journal and commits
 *   without fetching anything.
 * - A file without either is removed. A crash cannot leave one: a journal is removed only when the row is on disk.
 *   It means that the index was lost or that somebody put the file there, and to hash hundreds of GiB at start or
 *   behind the operator's back for that costs more than to fetch again what is still wanted.
 * - Partials untouched for {@link PARTIAL_LIFETIME}, bytes without a journal and journals without bytes are removed.
 */
export async function reconcile(
  files: Files,
  layout: Layout,
  index: BlobIndex,
  logger: Logger,
  now: number,
): Promise<void> {
  for (const name of await files.readdir(layout.tmp)) await files.rm(join(layout.tmp, name));
  const journals = new Set((await files.readdir(layout.partials)).filter((name) => name.endsWith(JOURNAL_SUFFIX)));
  const rows = new Set(index.digests());
  const missing = new Set(rows);
  let demoted = 0;
  let removed = 0;
  for (const algorithm of ALGORITHMS) {
    for (const name of await files.readdir(layout.blobs(algorithm))) {
      const digest = `${algorithm}:${name}`;
      // Whatever else lies there is not ours to remove.
      if (!isDigest(digest)) continue;
      missing.delete(digest);
      if (rows.has(digest)) continue;
      if (journals.has(journalName(digest))) {
        await demoteOrphan(files, layout, digest);
        demoted++;
      } else {
        await files.rm(layout.blob(digest));
        removed++;
      }
    }
  }
  if (missing.size > 0) index.remove(missing);
  const expired = await removeOldPartials(files, layout, now);
  if (missing.size + demoted + removed + expired > 0) {
    logger.info({ missing: missing.size, demoted, removed, expired }, 'the store was put in order');
  }
}

function journalName(digest: Digest): string {
  return `${algorithmOf(digest)}-${hexOf(digest)}${JOURNAL_SUFFIX}`;
}

async function removeOldPartials(files: Files, layout: Layout, now: number): Promise<number> {
  const names = new Set(await files.readdir(layout.partials));
  const bases = new Set([...names].map((name) => name.replace(/\.journal(?:\.tmp)?$/, '')));
  let expired = 0;
  for (const base of bases) {
    if (!isDigest(base.replace('-', ':'))) continue;
    const pair = [base, base + JOURNAL_SUFFIX];
    await files.rm(join(layout.partials, `${base}${JOURNAL_SUFFIX}.tmp`));
    if (pair.every((name) => names.has(name))) {
      const touched = await Promise.all(
        pair.map(async (name) => Number((await files.stat(join(layout.partials, name))).mtimeMs)),
      );
      if (now - Math.max(...touched) < PARTIAL_LIFETIME) continue;
      expired++;
    }
    for (const name of pair) await files.rm(join(layout.partials, name));
  }
  return expired;
}
