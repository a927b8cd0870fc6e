import { layoutOf } from '../../protocol/chunks.ts';

/** A part of a blob that somebody asks for, with an end of its own. Bytes; `end` is exclusive. */
export interface WantedPart {
  readonly size: number;
  readonly start: number;
  readonly end: number;
  /** What of this blob was lately taken in parts. */
  readonly taken: number;
}

/**
 * Whether a part of a blob that is not here is taken alone, without the rest: a lazy puller looks at a few files of a
 * large layer and may never want more. What touches half of the chunks, or comes with all that was taken before to half
 * of the bytes, is a pull by other means: then the whole is fetched once, verified, kept and shared.
 */
export function isTakenAlone({ size, start, end, taken }: WantedPart): boolean {
  const { chunkSize, count } = layoutOf(size);
  const touched = Math.floor((end - 1) / chunkSize) - Math.floor(start / chunkSize) + 1;
  return touched * 2 < count && (taken + end - start) * 2 < size;
}
