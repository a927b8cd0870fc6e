import { type Bitmap, eachNew } from '../../../protocol/bitmap.ts';

/** How many have each chunk of one blob: a count a chunk, kept right as bitmaps change. */
export class Rarity {
  readonly counts: Uint16Array;

  /** @param count chunks of the blob */
  constructor(count: number) {
    this.counts = new Uint16Array(count);
  }

  /** What one of those counted has is `after` from now on, and no longer `before`. */
  replace(before: Bitmap, after: Bitmap): void {
    const { counts } = this;
    eachNew(before, after, (index) => {
      counts[index] = (counts[index] as number) + 1;
    });
    eachNew(after, before, (index) => {
      counts[index] = (counts[index] as number) - 1;
    });
  }
}
