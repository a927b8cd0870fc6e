import { type ChunkLayout, chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Source } from './ports.ts';

/** All that decides how far a client may see into a blob that is still on its way. */
export interface ReleaseFacts {
  readonly layout: ChunkLayout;
  sourceOf(index: number): Source | undefined;
  /** Where bytes from upstream end that are written but whose chunk is not whole yet. 0 for none. */
  readonly streamedTo: number;
  /**
   * Whether a chunk that a peer sent may be shown before the whole has matched: the fleet shares a network key and whoever
   * vouches for the chunk was right before, or two addresses gave the same chunk map, or this client has waited
   * `release.holdFor`.
   */
  isReleased(index: number): boolean;
}

/**
 * Where the bytes end that a client at `position` may see now; `position` itself where it must wait.
 *
 * The last chunk is never among them: it waits for the whole digest, so that a client never holds a complete
 * wrong blob.
 */
export function releasedTo(facts: ReleaseFacts, position: number): number {
  const { layout } = facts;
  let end = position;
  for (let index = Math.floor(position / layout.chunkSize); index < layout.count - 1; index++) {
    const source = facts.sourceOf(index);
    const chunkEnd = chunkStart(layout, index) + chunkLength(layout, index);
    if (source === undefined) {
      const streaming = facts.streamedTo > chunkStart(layout, index) && facts.streamedTo <= chunkEnd;
      return streaming ? Math.max(end, facts.streamedTo) : end;
    }
    if (source === 'peer' && !facts.isReleased(index)) return end;
    end = chunkEnd;
  }
  return end;
}
