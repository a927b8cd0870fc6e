import type { Digest } from '../../protocol/digest.ts';

/** Whoever moves or removes the files of a digest does so in turn: a removal must not meet the file that came after it. */
export class Turns {
  readonly #last = new Map<Digest, Promise<void>>();

  /** Runs `work` when all that came before it, for this digest, has ended. */
  run<Result>(digest: Digest, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(digest);
    const result = before === undefined ? work() : before.then(work);
    const ended = result.then(
      () => {},
      () => {},
    );
    this.#last.set(digest, ended);
    void ended.then(() => {
      if (this.#last.get(digest) === ended) this.#last.delete(digest);
    });
    return result;
  }

  /** Resolves when what is under way for this digest now has ended. */
  async wait(digest: Digest): Promise<void> {
    await this.#last.get(digest);
  }

  async all(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
