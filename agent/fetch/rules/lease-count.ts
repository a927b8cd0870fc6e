import type { Table } from './table.ts';

/** Leases of a blob at a time: one alone leaves the uplink idle between its requests. */
export const LIVE_LEASES = 2;

/** And at most, where upstream gives no one connection all that the uplink could carry. */
export const MOST_LEASES = 4;

/** How long a rate is measured. ms */
const MEASURED_FOR = 2_000;

/**
 * What each lease must still bring when there is one more, of what it brought before. Blobs taken at the same time share
 * the uplink: a connection more takes some of theirs, and with three blobs each still brings 0.86.
 */
const WORTH = 0.9;

/** After one lease more was of no use, how long until another try. ms */
const NOT_AGAIN_FOR = 5_000;

/** With chunks slower than this, it is the uplink that is full, and more connections but make each slower. ms */
const SLOW_CHUNK = 2_000;

/** And with chunks that take no longer than this it is not. ms */
const SHORT_CHUNK = 1_000;

/** Leases at a time where upstream gives nobody anything. */
const MOST_TRIES = 64;

/** How many leases a blob may have: a third and a fourth only while the blob's rate still rises with them. Pure; ms. */
export class LeaseCount {
  readonly #table: Table;
  /** Leases that have proved of use beyond the {@link #least}. */
  #more = 0;
  #since = 0;
  /** Bytes that had come by then. */
  #bytes = 0;
  /** Leases, times how long there were as many since then. */
  #leaseTime = 0;
  #leases = 0;
  #begunAt = Number.POSITIVE_INFINITY;
  #at = 0;
  /** Bytes a ms that each lease brought before the last one more. */
  #before = 0;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(table: Table) {
    this.#table = table;
  }

  /** @param leases how many there are now */
  allowed(leases: number, now: number): number {
    this.#begunAt = Math.min(this.#begunAt, now);
    this.#leaseTime += this.#leases * (now - this.#at);
    this.#at = now;
    this.#leases = leases;
    const bytes = this.#table.received;
    if (now - this.#since >= MEASURED_FOR || bytes < this.#bytes) {
      if (bytes > this.#bytes)
        this.#decide(
          this.#leaseTime / (now - this.#since),
          (bytes - this.#bytes) / this.#leaseTime,
          this.#least(leases),
          now,
        );
      this.#since = now;
      this.#bytes = bytes;
      this.#leaseTime = 0;
    }
    // Where one after the other finds that upstream gives it nothing, they must not find out two at a time.
    return Math.max(this.#least(leases) + this.#more, Math.min(MOST_TRIES, LIVE_LEASES * 2 ** this.#table.failures));
  }

  /** @param leases how many there were on average @param rate bytes a ms of each */
  #decide(leases: number, rate: number, least: number, now: number): void {
    if (leases < least + this.#more - 0.5) return;
    if (this.#more > 0 && rate < this.#before * WORTH) {
      this.#more--;
      this.#notBefore = now + NOT_AGAIN_FOR;
      return;
    }
    const { usual } = this.#table.times;
    if (least + this.#more >= MOST_LEASES || now < this.#notBefore || usual === undefined || usual > SLOW_CHUNK) return;
    this.#before = rate;
    this.#more++;
  }

  /** Where other blobs keep a slow uplink busy, one of each does: the fewer connections, the less they starve each other. */
  #least(leases: number): number {
    const { times } = this.#table;
    const isQuick = times.notedAt > this.#begunAt && (times.usual ?? 0) < SHORT_CHUNK;
    return isQuick || times.leases - leases < LIVE_LEASES ? LIVE_LEASES : 1;
  }
}
