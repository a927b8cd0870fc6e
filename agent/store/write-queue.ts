/** Writes to one file, one after the other. Whoever asks for one owns its failure; those behind it go on. */
export class WriteQueue {
  /** Never rejects. */
  #last: Promise<void> = Promise.resolve();

  run(write: () => Promise<void>): Promise<void> {
    const written = this.#last.then(write);
    this.#last = written.catch(() => {});
    return written;
  }

  /** Resolves when those that were asked for so far have ended. */
  ended(): Promise<void> {
    return this.#last;
  }
}
