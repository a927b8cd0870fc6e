export interface RedialInit {
  /** First wait. ms */
  readonly min: number;
  /** Longest wait. ms */
  readonly max: number;
}

/**
 * How long to wait before dialling again after `failures` in a row: doubling from `min` up to `max`, less up to a
 * quarter, so that a fleet that came up together does not dial in step.
 *
 * @param random from 0 to 1
 */
export function redialDelay(failures: number, init: RedialInit, random: number): number {
  // 2 ** 30 is beyond any max; more would overflow to Infinity × 0.
  const full = Math.min(init.max, init.min * 2 ** Math.min(failures - 1, 30));
  return full * (1 - random / 4);
}
