import { MIN_CHUNK_SIZE } from '../../protocol/chunks.ts';

/** Breaks in a row, with less than a chunk of progress between one and the next, after which a body is given up. */
export const MAX_BREAKS = 5;

/** Before the second try in a row; each after that waits twice as long. Milliseconds. */
const FIRST_PAUSE = 200;

/** A body's breaks so far. Pure: whoever reads the body tells it where each one came. */
export interface Breaks {
  /** Breaks in a row. */
  readonly row: number;
  /** Where the last row began. Bytes. */
  readonly from: number;
}

export const NO_BREAKS: Breaks = { row: 0, from: 0 };

/** After one more break at `position`. A chunk of progress begins a new row: what moves is not given up. */
export function withBreak(breaks: Breaks, position: number): Breaks {
  const isProgress = breaks.row === 0 || position - breaks.from >= MIN_CHUNK_SIZE;
  return isProgress ? { row: 1, from: position } : { row: breaks.row + 1, from: breaks.from };
}

export function isHopeless(breaks: Breaks): boolean {
  return breaks.row > MAX_BREAKS;
}

/** How long to wait before the next try: not at all after a first break. Milliseconds. */
export function pauseAfter(breaks: Breaks): number {
  return breaks.row <= 1 ? 0 : FIRST_PAUSE * 2 ** (breaks.row - 2);
}
