import { setTimeout as sleep } from 'node:timers/promises';
import type { Digest } from '../../protocol/digest.ts';
import { isAgentError } from '../errors.ts';
import type { Command } from './command.ts';
import { CHECK_EVERY, checkedUntil } from './due.ts';
import type { Mender } from './mend.ts';
import { paged } from './pages.ts';
import type { InspectedBlob, Store } from './ports.ts';

/** How often it says how far it is. Milliseconds. */
const TELL_EVERY = 500;

/**
 * `layerlan verify`: checks what is due, with `all=true` everything: what was last checked a week ago, and what no longer
 * looks on disk as it did then. A line for each that is rotten, lines of how far it is, and one in the end.
 */
export function createVerify(
  { inspection }: Pick<Store, 'inspection'>,
  mender: Pick<Mender, 'outcome'>,
  now: () => number,
): Command {
  return async function* verify({ flag, signal }) {
    let checked = 0;
    let bytes = 0;
    let rotten = 0;
    let mended = 0;
    let unread = 0;
    const count = (read: number) => {
      bytes += read;
      return undefined;
    };
    for await (const { digest } of flag('all') ? everything(inspection) : due(inspection, now)) {
      signal.throwIfAborted();
      const checking = inspection.check(digest, count, signal);
      // It is awaited below; until then nobody else looks at how it ends.
      checking.catch(() => {});
      while (!(await isSettled(checking))) yield { checked, bytes };
      let found: Awaited<typeof checking>;
      try {
        found = await checking;
      } catch (error) {
        // An AgentError ends it all: the store closes, or the caller is gone.
        if (signal.aborted || isAgentError(error)) throw error;
        unread += 1;
        yield { unread: digest, why: (error as NodeJS.ErrnoException).code ?? 'unknown error' };
        continue;
      }
      if (found === 'gone') continue;
      checked += 1;
      if (found === 'good') continue;
      rotten += 1;
      const outcome = await mender.outcome(digest);
      if (outcome.isMended) mended += 1;
      yield { rotten: digest, mended: outcome.isMended, why: outcome.isMended ? null : outcome.why };
    }
    yield { done: { checked, bytes, rotten, mended, unread } };
  };
}

async function* due(inspection: Store['inspection'], now: () => number): AsyncGenerator<InspectedBlob, void> {
  const until = now() - CHECK_EVERY;
  yield* checkedUntil(inspection, until);
  for await (const blob of everything(inspection)) {
    // What was checked in the future was so by another clock: that says nothing.
    const isDue = blob.checkedAt > now() || (await inspection.isTouched(blob.digest));
    if (blob.checkedAt > until && isDue) yield blob;
  }
}

/** By digest: what a check changes must not bring it up again. */
function everything(inspection: Store['inspection']): AsyncGenerator<InspectedBlob, void> {
  return paged(
    (after: Digest | undefined, limit) => inspection.blobs(after, limit),
    ({ digest }: InspectedBlob) => digest,
  );
}

function isSettled(work: Promise<unknown>): Promise<boolean> {
  const late = new AbortController();
  const settled = work.then(
    () => true,
    () => true,
  );
  const waiting = sleep(TELL_EVERY, false, { signal: late.signal }).catch(() => false);
  return Promise.race([settled, waiting]).finally(() => late.abort());
}
