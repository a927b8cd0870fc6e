import type { ChunkTimes } from './chunk-times.ts';
import type { Taking } from './taking.ts';

/** A lease on which no byte came for this long is void. ms: the stall time-out of peers */
const LEASE_STALL = 5_000;

/** What has all its bytes is announced a moment later: with so many chunks' bytes more some are made up. */
const MOMENT = 1 / 8;

/** And that is so where it has not been announced for this long. ms */
const MADE_UP_AFTER = 2_000;

/**
 * Whether a lease's bytes or chunks are overdue: then it is void. Bytes that come steadily may take their time, but no more
 * of them than a chunk has: who makes them up would keep it from all others for ever.
 * @param chunkSize bytes
 */
export function isLate(taking: Taking, chunkSize: number, times: ChunkTimes, now: number): boolean {
  if (now - taking.progressAt > LEASE_STALL) return true;
  const elapsed = now - taking.chunkAt;
  const arrived = (taking.received - taking.chunkBytes) / chunkSize;
  if (arrived > 1 + MOMENT) return elapsed > MADE_UP_AFTER;
  const begunAt = taking.chunkAt;
  return elapsed > times.patienceFor(begunAt) && elapsed > arrived * times.steadyPatienceFor(begunAt, now);
}

/** Whether bytes come under the lease, as far as can be seen, and but too slowly. @param chunkSize bytes */
export function isSlow(taking: Taking, chunkSize: number, now: number): boolean {
  const arrived = (taking.received - taking.chunkBytes) / chunkSize;
  return now - taking.progressAt <= LEASE_STALL && arrived >= MOMENT && arrived <= 1 + MOMENT;
}
