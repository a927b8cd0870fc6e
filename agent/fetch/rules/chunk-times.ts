import { RecentTimes } from './recent-times.ts';

/** A chunk may always take this long. ms */
const LEAST_PATIENCE = 2_000;

/** And this long before any chunk's time is known: a chunk at 1 Mbit/s takes 8 s. ms */
const FIRST_PATIENCE = 20_000;

/** The same for each that shares the uplink, where those are many. ms */
const FIRST_PATIENCE_EACH = 4_000;

/** And no more than so many of them count: who makes up leases must not make all patient for ever. */
const MOST_SHARING = 12;

/** How many times as long as most a chunk may take. */
const LATE = 4;

/** A chunk whose bytes come steadily may take so many times as long as another; but not over all bounds. ms */
const STEADY = 4;
const MOST_STEADY = 40_000;

/** Where no chunk came in time though bytes did, the next may take twice as long; so many times in a row. */
const MOST_OVERDUE = 3;

/**
 * How long chunks take from upstream, of whatever blob: what a lease is judged by. Connections do not share an uplink
 * fairly, so that one chunk's time says little; how often one comes, of all of them, says what the uplink carries, and
 * each lease's share of that is what it may be measured by. Pure; ms.
 */
export class ChunkTimes {
  readonly #times = new RecentTimes();
  /** How long each was under way without another one's coming. */
  readonly #intervals = new RecentTimes();
  readonly #leases: () => number;
  #notedAt = Number.NEGATIVE_INFINITY;
  /** Times in a row that leases were overdue; since when the last. ms */
  #overdue = 0;
  #overdueAt = Number.NEGATIVE_INFINITY;

  /** @param leases how many there are of all blobs, as far as is known */
  constructor(leases: () => number = () => 1) {
    this.#leases = leases;
  }

  /** When the last chunk came. ms */
  get notedAt(): number {
    return this.#notedAt;
  }

  /** How many leases there are of all blobs. */
  get leases(): number {
    return this.#leases();
  }

  note(ms: number, now: number): void {
    const interval = Math.min(ms, now - this.#notedAt);
    // Another registry, or another line: what was seen before says nothing of it.
    if (interval > LATE * (this.#intervals.mean ?? 0)) {
      this.#times.clear();
      this.#intervals.clear();
    }
    this.#times.note(ms);
    this.#intervals.note(interval);
    this.#notedAt = now;
    this.#overdue = 0;
  }

  /**
   * A lease is overdue to which bytes came. Where all chunks take so long, none would ever be there: each would be begun
   * anew by another before it is whole.
   */
  overdue(now: number): void {
    // Leases that were begun together are overdue together.
    if (this.#overdue >= MOST_OVERDUE || now - this.#overdueAt < this.patience) return;
    this.#overdue++;
    this.#overdueAt = now;
  }

  /** What most chunks took; undefined where none was seen yet. */
  get median(): number | undefined {
    return this.#times.median;
  }

  /** What a chunk takes now; undefined where none was seen yet. */
  get usual(): number | undefined {
    const { median } = this.#times;
    if (median === undefined) return undefined;
    // Where upstream caps each connection, fewer of them are no faster.
    return Math.max(median, (this.#intervals.mean ?? 0) * this.#sharing);
  }

  /** How many leases share the uplink. */
  get #sharing(): number {
    return Math.min(MOST_SHARING, this.#leases());
  }

  /** The longest one chunk may take before its lease is void, where its bytes do not come {@link steadyPatience steadily}. */
  get patience(): number {
    const { usual } = this;
    const times = 2 ** this.#overdue;
    if (usual === undefined) return times * Math.max(FIRST_PATIENCE, FIRST_PATIENCE_EACH * this.#sharing);
    return times * Math.max(LEAST_PATIENCE, LATE * usual);
  }

  /**
   * The longest one chunk may take whose bytes come steadily: connections share an uplink as it happens, and what comes
   * slowly is sooner there than what is begun anew.
   */
  steadyPatience(now: number): number {
    // Where nobody's chunk comes any more it is the line that has become slow, or all who hold leases give nothing.
    const slowed = LATE * (now - this.#notedAt) * this.#sharing;
    const most = MOST_STEADY * 2 ** this.#overdue;
    return Math.max(this.patience, Math.min(most, Math.max(STEADY * this.patience, slowed)));
  }
}
