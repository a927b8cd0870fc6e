import { type Bitmap, bitmapOf, setBit } from '../../protocol/bitmap.ts';
import type { Marks } from './marks.ts';
import type { Partial } from './ports.ts';

/** The chunks that an earlier run has left; for those that came from upstream this agent vouches. */
export function resumed(partial: Partial, marks: Marks): { have: Bitmap; marked: Bitmap } {
  const { layout } = partial;
  const have = bitmapOf(layout.count);
  const marked = bitmapOf(layout.count);
  for (let index = 0; index < layout.count; index++) {
    const source = partial.sourceOf(index);
    if (source === undefined) continue;
    setBit(have, index);
    if (source !== 'upstream') continue;
    setBit(marked, index);
    marks.vouch(index, partial.hashOf(index) as Uint8Array);
  }
  return { have, marked };
}
