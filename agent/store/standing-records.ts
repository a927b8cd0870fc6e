import type { Logger } from 'pino';
import type { RepositoryName, Standing, StandingIndex } from './standing-index.ts';

/** Some 100 bytes each. */
export const STANDING_BOUND = 4096;

/**
 * What is remembered of repositories. It only spares requests: where the index cannot be read or written (a full disk) it
 * is as if nothing had been remembered, and no pull fails of it.
 */
export class StandingRecords {
  readonly #index: StandingIndex;
  readonly #logger: Logger;
  readonly #bound: number;
  #isClosed = false;

  constructor(index: StandingIndex, logger: Logger, bound: number = STANDING_BOUND) {
    this.#index = index;
    this.#logger = logger;
    this.#bound = bound;
  }

  find(repository: RepositoryName): Standing | undefined {
    return this.#try('find what a repository is', repository, () => this.#index.find(repository));
  }

  put(repository: RepositoryName, standing: Standing): void {
    this.#try('remember what a repository is', repository, () => this.#index.put(repository, standing, this.#bound));
  }

  /** From now on nothing is found, and nothing remembered. */
  close(): void {
    this.#isClosed = true;
  }

  #try<Result>(what: string, { registry, name }: RepositoryName, work: () => Result): Result | undefined {
    if (this.#isClosed) return undefined;
    try {
      return work();
    } catch (error) {
      this.#logger.warn({ err: error, registry, repository: name }, `the store cannot ${what}`);
      return undefined;
    }
  }
}
