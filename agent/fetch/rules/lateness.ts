import type { ChunkTimes } from './chunk-times.ts';
import { SEGMENT, type Taking } from './taking.ts';

/** A lease on which no byte came for this long is void. ms: the stall time-out of peers */
const LEASE_STALL = 5_000;

/** A lease of all the rest, of an upstream that gives no parts, waits this long for what comes before that. ms */
const SKIPPING_PATIENCE = 60_000;

/** What has all its bytes is announced a moment later: with so many chunks' bytes more some are made up. */
const MOMENT = 1 / 8;

/** And that is so where it has not been announced for this long. ms */
const MADE_UP_AFTER = 2_000;

/** What the leases on a blob are judged by. */
export interface Judged {
  readonly count: number;
  /** Bytes. */
  readonly chunkSize: number;
  readonly times: ChunkTimes;
  /** Whether upstream gives parts, as far as this agent has seen itself. */
  readonly givesParts: boolean;
}

/**
 * Whether a lease's bytes or chunks are overdue: then it is void. Bytes that come steadily may take their time, but no more
 * of them than a chunk has: who makes them up would keep it from all others for ever.
 */
export function isLate(taking: Taking, blob: Judged, now: number): boolean {
  if (now - taking.progressAt > LEASE_STALL) return true;
  const { times, chunkSize } = blob;
  const elapsed = now - taking.chunkAt;
  const skipped = skippedBy(taking, blob);
  const arrived = (taking.received - taking.chunkBytes) / chunkSize;
  if (arrived > skipped + 1 + MOMENT) return elapsed > MADE_UP_AFTER;
  if (elapsed <= (skipped > 0 ? Math.max(SKIPPING_PATIENCE, times.patience) : times.patience)) return false;
  return elapsed > arrived * times.steadyPatience(now);
}

/** How many chunks upstream sends before the one that is wanted, where it gives no parts. */
function skippedBy({ leases: [first] }: Taking, { count, givesParts }: Judged): number {
  if (first === undefined || givesParts) return 0;
  const [from, to] = first;
  return to === count && to - from > SEGMENT ? from : 0;
}
