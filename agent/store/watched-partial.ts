import type { ChunkLayout } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Health } from './health.ts';
import type { HeldBlob, Partial, Source } from './types.ts';

/**
 * A partial whose writes tell of the disk's health, and fail with STORE_FAILING where the disk does. Letting go of it has
 * ended when its room is another's.
 */
export class WatchedPartial implements Partial {
  readonly digest: Digest;
  readonly layout: ChunkLayout;
  readonly #partial: Partial;
  readonly #health: Health;
  readonly #settled: () => Promise<void>;

  /** @param settled resolves when what is left of it is counted as it lies there */
  constructor(partial: Partial, health: Health, settled: () => Promise<void>) {
    this.digest = partial.digest;
    this.layout = partial.layout;
    this.#partial = partial;
    this.#health = health;
    this.#settled = settled;
  }

  get marked(): number {
    return this.#partial.marked;
  }

  sourceOf(index: number): Source | undefined {
    return this.#partial.sourceOf(index);
  }

  hashOf(index: number): Uint8Array | undefined {
    return this.#partial.hashOf(index);
  }

  write(position: number, bytes: Uint8Array): Promise<void> {
    return this.#health.watch(() => this.#partial.write(position, bytes));
  }

  mark(index: number, sha256: Uint8Array, source: Source): Promise<void> {
    return this.#health.watch(() => this.#partial.mark(index, sha256, source));
  }

  unmark(indexes: Iterable<number>): Promise<void> {
    return this.#health.watch(() => this.#partial.unmark(indexes));
  }

  read(position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#health.watch(() => this.#partial.read(position, length, into));
  }

  async commit(mediaType: string | null): Promise<HeldBlob> {
    const held = await this.#health.watch(() => this.#partial.commit(mediaType));
    this.#health.stored();
    return held;
  }

  close(): Promise<void> {
    return this.#end(() => this.#partial.close());
  }

  discard(): Promise<void> {
    return this.#end(() => this.#partial.discard());
  }

  async #end(work: () => Promise<void>): Promise<void> {
    try {
      await this.#health.watch(work);
    } finally {
      await this.#settled();
    }
  }
}
