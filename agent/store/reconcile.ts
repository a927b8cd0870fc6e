import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Digest, isDigest } from '../../protocol/digest.ts';
import { briefly } from '../errors.ts';
import type { Account } from './account.ts';
import { takeBack } from './demote.ts';
import type { Files } from './files.ts';
import type { Holdings } from './holdings.ts';
import { ALGORITHMS, type Layout } from './layout.ts';
import { measurePartial } from './measure.ts';
import { partialDigests, removeOld } from './old-partials.ts';
import type { Turns } from './turns.ts';

/**
 * So many blobs are looked at, one after the other, then nothing for {@link PAUSE}: pulls have most of the disk and of
 * the main thread, and 100,000 blobs take some 10 s.
 */
const BATCH = 250;

/** Milliseconds. */
const PAUSE = 5;

export interface ReconcileComponents {
  readonly files: Files;
  readonly layout: Layout;
  readonly holdings: Holdings;
  readonly turns: Turns;
  readonly logger: Logger;
  readonly now: () => number;
  /** Knows of all that lies among the partials. */
  readonly account: Account;
  isPartialOpen(digest: Digest): boolean;
}

/**
 * Makes index and files agree, behind everything else. It lists directories and asks for the size of each file; it reads
 * no blob, since whether a file is as recorded is seen anyway each time it is opened. Whatever is asked for before its
 * turn is looked at then: see {@link Holdings} for rows, {@link takeBack} for files.
 *
 * - A row without its file, or with one of another size, is dropped.
 * - A file without its row but with its partial's journal was on its way in (renamed, not yet indexed) or out
 *   (found rotten): it becomes a partial again, and whoever wants it next checks it against the journal and commits
 *   without fetching anything.
 * - A file without either is removed. A crash cannot leave one: a journal is removed only when the row is on disk.
 *   It means that the index was lost or that somebody put the file there, and to hash hundreds of GiB behind the
 *   operator's back for that costs more than to fetch again what is still wanted.
 * - Of partials what {@link removeOld} says.
 *
 * Resolves when all of it is done, it failed (which is logged: what is asked for is looked at all the same, the rest
 * waits for the next start), or `signal` was aborted. Never rejects.
 */
export async function reconcile(components: ReconcileComponents, signal: AbortSignal): Promise<void> {
  const { logger } = components;
  try {
    const pace = pacer(signal);
    const lost = await lookAtRows(components, pace);
    const orphans = await takeBackOrphans(components, pace);
    const expired = await removeOldPartials(components, pace);
    if (lost + orphans.demoted + orphans.removed + expired > 0) {
      logger.info({ lost, ...orphans, expired }, 'the store was put in order');
    }
  } catch (error) {
    if (!signal.aborted)
      logger.warn(briefly(error), 'the store cannot be put in order; it will be tried at the next start');
  }
}

type Pace = () => Promise<void>;

/** Awaited before each step. @throws what `signal` was aborted with */
function pacer(signal: AbortSignal): Pace {
  let steps = 0;
  return async () => {
    signal.throwIfAborted();
    if (++steps % BATCH === 0) await delay(PAUSE, undefined, { signal });
  };
}

async function lookAtRows({ files, layout, holdings }: ReconcileComponents, pace: Pace): Promise<number> {
  const { looked } = holdings;
  let lost = 0;
  let after = '';
  for (;;) {
    const rows = holdings.index.page(after, BATCH);
    for (const row of rows) {
      await pace();
      const { digest } = row;
      const found = looked.has(digest) ? row.size : await sizeOf(files, layout.blob(digest));
      // Asked for meanwhile: it may even be another file by now.
      if (!looked.has(digest) && !holdings.look(row, found)) lost++;
      looked.pass(digest);
      after = digest;
    }
    if (rows.length < BATCH) break;
  }
  looked.finish();
  return lost;
}

async function takeBackOrphans(components: ReconcileComponents, pace: Pace) {
  const { files, layout, holdings, turns } = components;
  const found = { demoted: 0, removed: 0 };
  for (const algorithm of ALGORITHMS) {
    for await (const name of files.readdir(layout.blobs(algorithm))) {
      await pace();
      const digest = `${algorithm}:${name}`;
      // Whatever else lies there is not ours to remove.
      if (!isDigest(digest) || holdings.index.has(digest)) continue;
      // In turn: a commit that has renamed the file is about to put the row there.
      await turns.run(digest, async () => {
        const became = holdings.get(digest) === undefined && (await takeBack(files, layout, digest));
        if (!became) return;
        found[became]++;
        await recount(components, digest);
      });
    }
  }
  return found;
}

async function removeOldPartials(components: ReconcileComponents, pace: Pace): Promise<number> {
  const { files, layout, holdings, turns, now, isPartialOpen } = components;
  let expired = 0;
  for (const digest of await partialDigests(files, layout)) {
    await pace();
    await turns.run(digest, async () => {
      if (isPartialOpen(digest)) return;
      const isHeld = holdings.get(digest) !== undefined;
      if (await removeOld(files, layout, digest, { isHeld, now: now() })) expired++;
      await recount(components, digest);
    });
  }
  return expired;
}

/** Called in turn: what lies there of the partial is other than it was. */
async function recount({ account, files, layout }: ReconcileComponents, digest: Digest): Promise<void> {
  account.changed(digest, await measurePartial(files, layout, digest));
}

/** undefined where there is no such file. */
async function sizeOf(files: Files, path: string): Promise<number | undefined> {
  try {
    return Number((await files.stat(path)).size);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
