import { RecentTimes } from './recent-times.ts';

/** A chunk may always take this long. ms */
const LEAST_PATIENCE = 2_000;

/** And this long before any chunk's time is known: a chunk at 1 Mbit/s takes 8 s. ms */
const FIRST_PATIENCE = 20_000;

/** The same for each that shares the uplink, where those are many. ms */
const FIRST_PATIENCE_EACH = 4_000;

/** How many times as long as most a chunk may take. */
const LATE = 4;

/**
 * How long chunks take from upstream, of whatever blob: what a lease is judged by. As long as all leases together are
 * many: times are kept as if there were but one, or six that start at once would each be late by what one took before.
 * Pure; ms.
 */
export class ChunkTimes {
  readonly #times = new RecentTimes();
  /** As if there had been no other. */
  readonly #alone = new RecentTimes();
  readonly #leases: () => number;

  /** @param leases how many there are of all blobs, as far as is known */
  constructor(leases: () => number = () => 1) {
    this.#leases = leases;
  }

  note(ms: number): void {
    this.#times.note(ms);
    this.#alone.note(ms / Math.max(1, this.#leases()));
  }

  /** What a chunk takes now; undefined where none was seen yet. */
  get usual(): number | undefined {
    const { median } = this.#times;
    if (median === undefined) return undefined;
    // Where upstream caps each connection, fewer of them are no faster.
    return Math.max(median, (this.#alone.median ?? 0) * this.#leases());
  }

  /** The longest one chunk may take before its lease is void. */
  get patience(): number {
    const { usual } = this;
    if (usual === undefined) return Math.max(FIRST_PATIENCE, FIRST_PATIENCE_EACH * this.#leases());
    return Math.max(LEAST_PATIENCE, LATE * usual);
  }
}
