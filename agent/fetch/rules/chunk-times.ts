import { RecentTimes } from './recent-times.ts';

/** A chunk may always take this long. ms */
const LEAST_PATIENCE = 2_000;

/** And this long before any chunk's time is known: a chunk at 1 Mbit/s takes 8 s. ms */
const FIRST_PATIENCE = 20_000;

/** How long chunks take from upstream: what a lease is judged by. Pure; ms. */
export class ChunkTimes extends RecentTimes {
  /** The longest one chunk may take before its lease is void. */
  get patience(): number {
    const { median } = this;
    return median === undefined ? FIRST_PATIENCE : Math.max(LEAST_PATIENCE, 4 * median);
  }
}
