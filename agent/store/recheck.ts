import type { Digest } from '../../protocol/digest.ts';
import type { BlobRecord } from './blob-index.ts';
import { type Stamp, sameStamp } from './stamp.ts';

/** Rechecks under way at once; of more, the oldest start over. */
const MAX_PASSES = 256;

/** Whether what is read of a blob must be checked first. `recheck` in milliseconds. */
export function isDue(
  record: Pick<BlobRecord, 'stamp' | 'checkedAt'>,
  stamp: Stamp,
  now: number,
  recheck: number,
): boolean {
  // A clock that was set back by more than the interval says nothing of how long ago the check was.
  return !sameStamp(record.stamp, stamp) || Math.abs(now - record.checkedAt) >= recheck;
}

/** One recheck of a blob, over as many reads as it takes: which of its chunks were found good. */
export class Pass {
  readonly stamp: Stamp;
  readonly startedAt: number;
  readonly #good: Uint8Array;
  #left: number;

  constructor(stamp: Stamp, startedAt: number, count: number) {
    this.stamp = stamp;
    this.startedAt = startedAt;
    this.#good = new Uint8Array(count);
    this.#left = count;
  }

  isGood(index: number): boolean {
    return this.#good[index] === 1;
  }

  /** @returns whether that was the last chunk: the record may be renewed */
  markGood(index: number): boolean {
    if (this.#good[index] === 1) return false;
    this.#good[index] = 1;
    this.#left--;
    return this.#left === 0;
  }
}

/** The passes under way. A peer's chunk requests and a client's read share one. */
export class Passes {
  readonly #passes = new Map<Digest, Pass>();

  /** The pass over a file that looks like `stamp`; a file that changed since, or a pass that is itself too old, begins anew. */
  of(digest: Digest, stamp: Stamp, now: number, recheck: number, count: number): Pass {
    const known = this.#passes.get(digest);
    if (known !== undefined && sameStamp(known.stamp, stamp) && Math.abs(now - known.startedAt) < recheck) return known;
    const pass = new Pass(stamp, now, count);
    this.#passes.delete(digest);
    this.#passes.set(digest, pass);
    if (this.#passes.size > MAX_PASSES) this.#passes.delete(this.#passes.keys().next().value!);
    return pass;
  }

  end(digest: Digest): void {
    this.#passes.delete(digest);
  }
}
