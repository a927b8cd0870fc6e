/** Writes to one file, so many at a time. Whoever asks for one owns its failure; those behind it go on. */
export class WriteQueue {
  /** The last of each lane; none rejects. */
  readonly #last: Promise<void>[];
  #turn = 0;

  /** @param width how many at a time */
  constructor(width: number) {
    this.#last = Array.from({ length: width }, () => Promise.resolve());
  }

  run(write: () => Promise<void>): Promise<void> {
    const lane = this.#turn++ % this.#last.length;
    const written = (this.#last[lane] as Promise<void>).then(write);
    this.#last[lane] = written.catch(() => {});
    return written;
  }

  /** Resolves when those that were asked for so far have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#last);
  }
}
