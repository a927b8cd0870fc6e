import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';

/** What the store tells of a blob that came or went. */
export type BlobListener = (digest: Digest) => void;

/** Who wants to hear of blobs. */
export class BlobListeners {
  readonly #logger: Logger;
  readonly #listeners = new Set<BlobListener>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @returns what ends it */
  add(listener: BlobListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A listener that throws must not undo what it was told of. */
  tell(digest: Digest): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(digest);
      } catch (error) {
        this.#logger.error({ err: error, digest }, 'a listener of the store failed');
      }
    }
  }
}
