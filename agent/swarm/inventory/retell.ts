/** The first wait. ms */
const FIRST = 1_000;

/** The longest wait for a neighbour that opens no stream: it may not be an agent at all. ms */
const UNOPENED_MAX = 60_000;

/**
 * The wait for a neighbour that ended the stream a second time: it may take announcements for garbage. Strikes halve in
 * this time, so that they never add up to a ban. ms
 */
const REFUSED = 600_000;

/** A stream that lasted as long was not refused. ms */
const ACCEPTED = 60_000;

/**
 * How long to wait before everything is told anew. Pure.
 *
 * @param failures in a row, before this one
 * @param lasted ms from the stream's opening to its end; undefined where it did not open
 */
export function retellDelay(failures: number, lasted: number | undefined): { wait: number; failures: number } {
  if (lasted !== undefined && lasted >= ACCEPTED) return { wait: FIRST, failures: 0 };
  const after = failures + 1;
  if (lasted === undefined) return { wait: Math.min(FIRST * 2 ** failures, UNOPENED_MAX), failures: after };
  return { wait: after === 1 ? FIRST : REFUSED, failures: after };
}
