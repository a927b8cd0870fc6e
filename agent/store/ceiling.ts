/**
 * How long the store stays below what it had when the disk took no more: a quota, or a table of inodes, is seen by
 * nothing else. Milliseconds (10 min).
 */
const LASTS = 600_000;

/** Writes that fail within so long of one another fail of the same thing. Milliseconds. */
const SAME = 1_000;

/** What the disk turned out to take, where that is less than by all that is known it should. */
export class Ceiling {
  #bytes = Number.POSITIVE_INFINITY;
  #setAt = Number.NEGATIVE_INFINITY;

  /** Bytes; infinite where none is known. */
  get bytes(): number {
    return performance.now() < this.#setAt + LASTS ? this.#bytes : Number.POSITIVE_INFINITY;
  }

  /** It is not believed any more. @returns whether there was one */
  lift(): boolean {
    const was = this.bytes;
    this.#setAt = Number.NEGATIVE_INFINITY;
    return was !== Number.POSITIVE_INFINITY;
  }

  /** @returns whether that is news */
  set(bytes: number): boolean {
    const now = performance.now();
    if (now < this.#setAt + SAME) return false;
    this.#bytes = bytes;
    this.#setAt = now;
    return true;
  }
}
