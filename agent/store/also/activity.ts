/** How long nothing must be read before the store counts as at rest: a client that pulls asks again at once. Milliseconds. */
const REST = 1_000;

/** Who reads, and when somebody last did. */
export class Activity {
  #readers = 0;
  #lastAt = Number.NEGATIVE_INFINITY;

  get isBusy(): boolean {
    return this.#readers > 0 || performance.now() - this.#lastAt < REST;
  }

  /** `work` while it runs. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#readers++;
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  /** The same, of an iteration. */
  async *throughout<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    this.#readers++;
    try {
      yield* items;
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    this.#readers--;
    this.#lastAt = performance.now();
  }
}
