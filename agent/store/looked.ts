import type { Digest } from '../../protocol/digest.ts';

/**
 * Which of the blobs that the index told of at start were looked at since: those that the reconciliation, which goes
 * through them by digest, has passed, and before that those that somebody asked for or that came in.
 */
export class Looked {
  #isDone = false;
  #passed = '';
  /** Out of turn. As many as were asked for in the seconds that a reconciliation takes. */
  readonly #early = new Set<Digest>();

  has(digest: Digest): boolean {
    return this.#isDone || digest <= this.#passed || this.#early.has(digest);
  }

  add(digest: Digest): void {
    if (!this.has(digest)) this.#early.add(digest);
  }

  /** All digests up to this one, in the order of strings. */
  pass(upTo: Digest): void {
    this.#passed = upTo;
  }

  /** There is no row left that was not looked at. */
  finish(): void {
    this.#isDone = true;
    this.#early.clear();
  }
}
