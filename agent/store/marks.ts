import { CHUNK_HASH_LENGTH } from '../../protocol/chunk-map.ts';
import type { Mark } from './journal-format.ts';

/** The marks of a partial, in memory: a byte and a hash a chunk. */
export class Marks {
  readonly #sources: Uint8Array;
  readonly #hashes: Uint8Array;
  #count = 0;
  /** Chunks from 0 that are marked without a gap. */
  #prefix = 0;

  constructor(count: number) {
    this.#sources = new Uint8Array(count);
    this.#hashes = new Uint8Array(count * CHUNK_HASH_LENGTH);
  }

  get count(): number {
    return this.#count;
  }

  get prefix(): number {
    return this.#prefix;
  }

  /** {@link CHUNK_HASH_LENGTH} bytes a chunk; those of chunks that are not marked say nothing. */
  get hashes(): Uint8Array {
    return this.#hashes;
  }

  source(index: number): Mark['source'] | undefined {
    const code = this.#sources[index];
    return code === 1 ? 'upstream' : code === 2 ? 'peer' : undefined;
  }

  hash(index: number): Uint8Array | undefined {
    if (this.source(index) === undefined) return undefined;
    return this.#hashes.slice(index * CHUNK_HASH_LENGTH, (index + 1) * CHUNK_HASH_LENGTH);
  }

  set({ index, source, sha256 }: Mark): void {
    if (this.#sources[index] === 0) this.#count++;
    this.#sources[index] = source === 'upstream' ? 1 : 2;
    this.#hashes.set(sha256, index * CHUNK_HASH_LENGTH);
    while (this.#prefix < this.#sources.length && this.#sources[this.#prefix] !== 0) this.#prefix++;
  }

  delete(index: number): void {
    if (this.#sources[index] === 0) return;
    this.#sources[index] = 0;
    this.#count--;
    this.#prefix = Math.min(this.#prefix, index);
  }

  *all(): Iterable<Mark> {
    for (let index = 0; index < this.#sources.length; index++) {
      const source = this.source(index);
      if (source !== undefined) yield { index, source, sha256: this.hash(index)! };
    }
  }
}
