import type { Logger } from 'pino';
import type { TagBounds, TagIndex, TagName, TagRecord } from './tag-index.ts';

/** Some 400 bytes each. A tag has a record for each kind of client that asks for it. */
export const TAG_BOUNDS: TagBounds = { tags: 10_000, variants: 8 };

/**
 * What is remembered of tags. It only spares requests: where the index cannot be read or written (a full disk) it is as
 * if nothing had been remembered, and no pull fails of it.
 */
export class TagRecords {
  readonly #index: TagIndex;
  readonly #logger: Logger;
  readonly #bounds: TagBounds;
  #isClosed = false;

  constructor(index: TagIndex, logger: Logger, bounds: TagBounds = TAG_BOUNDS) {
    this.#index = index;
    this.#logger = logger;
    this.#bounds = bounds;
  }

  /** All records of a tag, the one checked last first. Notes a use of them. */
  find(name: TagName): readonly TagRecord[] {
    return (
      this.#try('find what a tag is', name, () => {
        const records = this.#index.find(name);
        if (records.length > 0) this.#try('note that a tag was used', name, () => this.#index.use(name));
        return records;
      }) ?? []
    );
  }

  /** The same for somebody else: no use of them. */
  peek(name: TagName): readonly TagRecord[] {
    return this.#try('find what a tag is', name, () => this.#index.find(name)) ?? [];
  }

  /** Tags of which something is remembered, by name, those after `after`; the last page is empty. */
  page(after: TagName | undefined, limit: number): readonly TagName[] {
    return this.#try('list tags', after, () => this.#index.page(after, limit)) ?? [];
  }

  put(name: TagName, record: TagRecord): void {
    this.#try('remember what a tag is', name, () => this.#index.put(name, record, this.#bounds));
  }

  drop(name: TagName, accept: string): void {
    this.#try('forget what a tag was', name, () => this.#index.drop(name, accept));
  }

  /** From now on nothing is found, and nothing remembered. */
  close(): void {
    this.#isClosed = true;
  }

  #try<Result>(what: string, name: TagName | undefined, work: () => Result): Result | undefined {
    if (this.#isClosed) return undefined;
    try {
      return work();
    } catch (error) {
      this.#logger.warn({ err: error, ...name }, `the store cannot ${what}`);
      return undefined;
    }
  }
}
