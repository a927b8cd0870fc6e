import type { ChunkLayout } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { orFailing } from './failing.ts';
import type { HeldBlob, Partial, Source } from './types.ts';

/** `partial`, whose file calls fail as STORE_FAILING. */
export function tellingFailures(partial: Partial): Partial {
  return new TellingPartial(partial);
}

class TellingPartial implements Partial {
  readonly digest: Digest;
  readonly layout: ChunkLayout;
  readonly #partial: Partial;

  constructor(partial: Partial) {
    this.digest = partial.digest;
    this.layout = partial.layout;
    this.#partial = partial;
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
    return this.#tell('write', () => this.#partial.write(position, bytes));
  }

  mark(index: number, sha256: Uint8Array, source: Source): Promise<void> {
    return this.#tell('note a chunk of', () => this.#partial.mark(index, sha256, source));
  }

  unmark(indexes: Iterable<number>): Promise<void> {
    return this.#tell('drop chunks of', () => this.#partial.unmark(indexes));
  }

  read(position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#tell('read', () => this.#partial.read(position, length, into));
  }

  commit(mediaType: string | null): Promise<HeldBlob> {
    return this.#tell('commit', () => this.#partial.commit(mediaType));
  }

  close(): Promise<void> {
    return this.#tell('close', () => this.#partial.close());
  }

  discard(): Promise<void> {
    return this.#tell('discard', () => this.#partial.discard());
  }

  #tell<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    return orFailing(`${what} ${this.digest}`, work);
  }
}
