import { MAX_CHUNKS } from './chunks.ts';

/** The longest bitmap. Bytes. */
export const MAX_BITMAP_LENGTH = MAX_CHUNKS / 8;

/** One bit a chunk: chunk 0 is the lowest bit of the first byte. Bits beyond the last chunk are 0. */
export type Bitmap = Uint8Array;

/** A bitmap of `count` chunks with none set; at least one byte, also for the empty blob. */
export function bitmapOf(count: number): Bitmap {
  return new Uint8Array(Math.max(1, Math.ceil(count / 8)));
}

export function hasBit(bitmap: Bitmap, index: number): boolean {
  return (((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

export function setBit(bitmap: Bitmap, index: number): void {
  bitmap[index >> 3] = (bitmap[index >> 3] as number) | (1 << (index & 7));
}

export function clearBit(bitmap: Bitmap, index: number): void {
  bitmap[index >> 3] = (bitmap[index >> 3] as number) & ~(1 << (index & 7));
}

/** A bitmap of `count` chunks with all of them set. */
export function fullBitmap(count: number): Bitmap {
  const full = bitmapOf(count);
  for (let index = 0; index < count; index++) setBit(full, index);
  return full;
}

/** What is set in either of two bitmaps of the same blob. */
export function union(a: Bitmap, b: Bitmap): Bitmap {
  return a.map((byte, at) => byte | (b[at] as number));
}

/** Calls `visit` with each chunk that is set in `after` and not in `before`, the first one first. */
export function eachNew(before: Bitmap, after: Bitmap, visit: (index: number) => void): void {
  for (let at = 0; at < after.length; at++) {
    let fresh = (after[at] as number) & ~(before[at] as number);
    for (; fresh !== 0; fresh &= fresh - 1) visit(at * 8 + 31 - Math.clz32(fresh & -fresh));
  }
}

/** Whether `bitmap` is one of `count` chunks: of that length, with no bit beyond the last. */
export function isBitmapOf(bitmap: Bitmap, count: number): boolean {
  if (bitmap.length !== Math.max(1, Math.ceil(count / 8))) return false;
  const beyond = count % 8 === 0 && count > 0 ? 0 : 0xff << (count % 8);
  return ((bitmap.at(-1) as number) & beyond & 0xff) === 0;
}
