import { CHUNK_HASH_LENGTH } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart, layoutOf } from '../../protocol/chunks.ts';
import type { Algorithm } from '../../protocol/digest.ts';

const NAMES = { sha256: 'SHA-256', sha512: 'SHA-512' } as const;

/** The hash of `bytes`, made in libuv's pool: a chunk hashed on the main thread would hold up everybody for 0.8 ms. */
export async function sumOf(algorithm: Algorithm, bytes: Uint8Array): Promise<Uint8Array> {
  // It takes no memory that threads share, and what chunks for peers are read into is such.
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes);
  return new Uint8Array(await crypto.subtle.digest(NAMES[algorithm], own as Uint8Array<ArrayBuffer>));
}

/** The hashes of a chunk map, of a blob that is whole in memory. */
export async function chunkSums(bytes: Uint8Array): Promise<Uint8Array> {
  const layout = layoutOf(bytes.length);
  const hashes = new Uint8Array(layout.count * CHUNK_HASH_LENGTH);
  for (let index = 0; index < layout.count; index++) {
    const start = chunkStart(layout, index);
    hashes.set(
      await sumOf('sha256', bytes.subarray(start, start + chunkLength(layout, index))),
      index * CHUNK_HASH_LENGTH,
    );
  }
  return hashes;
}
