import { type Bitmap, bitmapOf } from '../../../protocol/bitmap.ts';

/**
 * Chunk requests at a time, at most: each is a buffer of a chunk, and in a fleet more of them only meet more peers that are
 * busy. (With 16, and at least two a blob, a cold fleet of eight took a tenth more CPU.)
 */
export const MOST_LANES = 12;

/** What this agent wants of a blob. */
export interface Wanted {
  /** Chunks that are there already. */
  readonly have: Bitmap;
  /** Those of them that this agent vouches for: it has them from upstream. */
  readonly marked: Bitmap;
  /** Until when the look-up for holders may hold upstream back. ms */
  readonly searchUntil: number;
  /** The chunk a client waits for. */
  readonly first: number;
  /** A chunk that a peer was asked for before. */
  readonly asked?: { readonly peer: string; readonly index: number };
}

/** This agent's own part in a blob. */
export interface Part {
  readonly marked: Bitmap;
  readonly mapped: Bitmap;
  root: Uint8Array | undefined;
  readonly holders: Set<string>;
  searchUntil: number;
  upstreamUsable: boolean;
  lanes: number;
  first: number;
  streams: boolean;
  isWhole: boolean;
  /** Since when; Infinity before. ms */
  wholeAt: number;
  isStuck: boolean;
  /** When the last chunk came. */
  gainedAt: number;
  /**
   * Since when it is not for others to move it on: they offer something, or take nothing from upstream. ms; Infinity while
   * they take what nobody has yet: at 3 Mbit a chunk takes them ten seconds
   */
  movableAt: number;
  /** Nobody gave what they said they had: upstream is asked for it, until somebody gives something again. */
  isForsaken: boolean;
}

/** A blob that is taken from now on. */
export function newPart({ marked, first, searchUntil }: Wanted, count: number, now: number): Part {
  return {
    marked,
    mapped: bitmapOf(count),
    root: undefined,
    holders: new Set(),
    searchUntil,
    upstreamUsable: true,
    lanes: MOST_LANES,
    first,
    streams: false,
    isWhole: false,
    wholeAt: Number.POSITIVE_INFINITY,
    isStuck: false,
    gainedAt: now,
    movableAt: Number.POSITIVE_INFINITY,
    isForsaken: false,
  };
}
