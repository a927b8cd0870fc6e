/** The smallest chunk, and the chunk of every blob up to 16 GiB. Bytes. */
export const MIN_CHUNK_SIZE = 1024 * 1024;

/** The most chunks a blob has: it bounds bitmaps, chunk maps (512 KiB) and their frames. */
export const MAX_CHUNKS = 16_384;

/** No layer is larger than this; a size beyond it is a lie or a mistake. Bytes (4 TiB). */
export const MAX_BLOB_SIZE = 4 * 1024 ** 4;

/** How a blob of `size` bytes is cut. Every agent computes the same from the size alone. */
export interface ChunkLayout {
  readonly size: number;
  readonly chunkSize: number;
  /** Number of chunks; 0 for the empty blob. */
  readonly count: number;
}

/** A blob's size is a whole number from 0 to {@link MAX_BLOB_SIZE}. */
export function isBlobSize(size: unknown): size is number {
  return Number.isSafeInteger(size) && (size as number) >= 0 && (size as number) <= MAX_BLOB_SIZE;
}

/**
 * The layout of a blob of `size` bytes.
 * @throws RangeError where {@link isBlobSize} is false
 */
export function layoutOf(size: number): ChunkLayout {
  if (!isBlobSize(size)) throw new RangeError(`not a blob size: ${size}`);
  let chunkSize = MIN_CHUNK_SIZE;
  while (chunkSize * MAX_CHUNKS < size) chunkSize *= 2;
  return { size, chunkSize, count: Math.ceil(size / chunkSize) };
}

/** Where chunk `index` starts. Bytes. */
export function chunkStart(layout: ChunkLayout, index: number): number {
  return index * layout.chunkSize;
}

/** How long chunk `index` is; only the last may be shorter than the rest. Bytes. */
export function chunkLength(layout: ChunkLayout, index: number): number {
  return Math.min(layout.chunkSize, layout.size - index * layout.chunkSize);
}
