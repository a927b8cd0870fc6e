import { MIN_CHUNK_SIZE } from '../../../protocol/chunks.ts';
import type { ChunkTimes } from './chunk-times.ts';
import { SEGMENT, type Taking } from './taking.ts';

/** A lease on which no byte came for this long is void. ms: the stall time-out of peers */
const LEASE_STALL = 5_000;

/** A lease of all the rest, of an upstream that gives no parts, may be without a chunk for this long. ms */
const WHOLE_PATIENCE = 60_000;

/**
 * Whether a lease's bytes or chunks are overdue: then it is void. Bytes that come steadily may take their time.
 * @param count chunks of the blob
 */
export function isLate(taking: Taking, count: number, times: ChunkTimes, now: number): boolean {
  if (now - taking.progressAt > LEASE_STALL) return true;
  const elapsed = now - taking.chunkAt;
  if (elapsed <= patienceWith(taking, count, times)) return false;
  const arrived = (taking.received - taking.chunkBytes) / MIN_CHUNK_SIZE;
  return elapsed > arrived * times.steadyPatience(now);
}

/** What is taken without parts comes behind all that is there already. */
function patienceWith({ leases: [first] }: Taking, count: number, { patience }: ChunkTimes): number {
  const isWhole = first !== undefined && first[1] === count && first[1] - first[0] > SEGMENT;
  return isWhole ? Math.max(WHOLE_PATIENCE, patience) : patience;
}
