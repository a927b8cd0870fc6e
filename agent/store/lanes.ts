/** Work that goes one after the other in each of a few lanes, so that much of it at once does not hold up others. */
export class Lanes {
  readonly #ends: Promise<unknown>[];
  #next = 0;

  constructor(count: number) {
    this.#ends = Array.from({ length: count }, () => Promise.resolve());
  }

  /** Runs `work` when all that is before it in its lane has ended. */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const lane = this.#next++ % this.#ends.length;
    const result = this.#ends[lane]!.then(work);
    this.#ends[lane] = result.catch(() => {});
    return result;
  }
}
