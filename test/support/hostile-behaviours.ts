import { chunksOf, mapOf } from './independent-blob.ts';

/* What a hostile peer has, and how it misbehaves with that; see hostile-peer.ts for what may be imported here. */

/** How a peer misbehaves; all but `honest` say that they hold the blob. */
export const BEHAVIOURS = {
  honest: 'does all as it should',
  flip: 'gives the true map and chunks with one bit flipped',
  'flip-some': 'gives the true map, and one chunk in twenty with one bit flipped',
  'false-map': 'gives a map of flipped chunks, and those chunks: each matches, the whole does not',
  'wrong-map': 'gives a map that has not the root it claimed',
  'wrong-answer': 'answers a question for its map, or for a tag, with what it answers to `have`',
  stall: 'sends half a chunk, then nothing, and keeps the stream open',
  silent: 'takes chunk requests and never answers',
  cut: 'sends half a chunk and resets the stream',
  missing: 'says that it has no such chunk',
  busy: 'says that it is busy',
  dribble: 'sends a chunk at one byte a second',
  garbage: 'answers chunk requests with bytes that are no frame',
  'garbage-control': 'answers control requests with bytes that are no frame',
  deaf: 'reads nothing on control streams',
  'wrong-length': 'announces a chunk one byte longer than it is',
} as const;

export type Behaviour = keyof typeof BEHAVIOURS;

const FLIPPING: ReadonlySet<Behaviour> = new Set(['flip', 'flip-some', 'false-map']);

/** Of so many chunks one is false. */
const FALSE_EVERY = 20;

/** A blob that it says it holds. */
export interface Claim {
  readonly size: number;
  /** Encoded. */
  readonly map: Uint8Array;
  /** What it gives for a chunk; undefined where there is no such chunk. */
  chunk(index: number, behaviour: Behaviour): Uint8Array | undefined;
}

export function claimOf(digest: string, blob: Uint8Array, behaviour: Behaviour): Claim {
  const chunks = chunksOf(blob);
  let map: Uint8Array | undefined;
  return {
    size: blob.length,
    get map() {
      map ??= mapOf(digest, behaviour === 'false-map' ? Buffer.concat(chunks.map(flipped)) : blob);
      return map;
    },
    chunk(index, how) {
      const chunk = chunks[index];
      const isTrue = !FLIPPING.has(how) || (how === 'flip-some' && index % FALSE_EVERY !== 0);
      return chunk === undefined || isTrue ? chunk : flipped(chunk);
    },
  };
}

/** A copy with one bit flipped. */
function flipped(chunk: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(chunk);
  const middle = Math.floor(copy.length / 2);
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
