import type { Table } from './table.ts';
import { wholeLeases } from './uplink-rate.ts';

/** Leases of a blob at a time: one alone leaves the uplink idle between its requests. */
export const LIVE_LEASES = 2;

/** And at most, where upstream gives no one connection all that the uplink could carry. */
export const MOST_LEASES = 8;

/** How many times as many are tried next, and how many times fewer where those were too many. */
const STEP = 1.5;

/** With chunks slower than this, it is the uplink that is full, and more connections but make each slower. ms */
const SLOW_CHUNK = 2_000;

/** And with chunks that take no longer than this it is not. ms */
const SHORT_CHUNK = 1_000;

/** Leases at a time where upstream gives nobody anything. */
const MOST_TRIES = 64;

/**
 * How many leases a blob may have: more than two where upstream caps connections, and for a trial while nobody knows.
 * Pure; ms.
 */
export class LeaseCount {
  readonly #table: Table;
  #begunAt = Number.POSITIVE_INFINITY;

  constructor(table: Table) {
    this.#table = table;
  }

  /** @param leases how many there are now */
  allowed(leases: number, now: number): number {
    this.#begunAt = Math.min(this.#begunAt, now);
    // Where one after the other finds that upstream gives it nothing, they must not find out two at a time.
    const tries = Math.min(MOST_TRIES, LIVE_LEASES * 2 ** this.#table.failures);
    return Math.max(this.#least(leases), tries, Math.min(MOST_LEASES, this.#ofUse(now)));
  }

  /** How many fill the uplink together with those of other blobs, as far as is known. */
  #ofUse(now: number): number {
    const { times, uplink, leaseHolders } = this.#table;
    const { usual } = times;
    if (usual === undefined || usual > SLOW_CHUNK) return 0;
    const needed = (uplink.needed(now) ?? 0) - (uplink.leases - leaseHolders);
    const recent = uplink.recentLeases(now);
    if (recent === undefined) return needed;
    // What a trial has allowed is measured before it allows more; and what was too much is taken back step by step, so
    // that the idle uplink shows where each lease brings no more for being one of few.
    const tried = uplink.isFull(now) ? recent / STEP : Math.min(recent, uplink.leases) * STEP;
    return Math.max(needed, wholeLeases(tried / Math.max(1, uplink.blobs)));
  }

  /** Where other blobs keep a slow uplink busy, one of each does: the fewer connections, the less they starve each other. */
  #least(leases: number): number {
    const { times } = this.#table;
    const isQuick = times.notedAt > this.#begunAt && (times.usual ?? 0) < SHORT_CHUNK;
    return isQuick || times.leases - leases < LIVE_LEASES ? LIVE_LEASES : 1;
  }
}
