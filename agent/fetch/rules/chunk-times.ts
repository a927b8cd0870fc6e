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

/** Where no chunk came in time though bytes did, one begun later may take twice as long; so many times in a row. */
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
  /** When leases were overdue since the last chunk that came. ms */
  #overdueAt: number[] = [];

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
    this.came();
  }

  /** A chunk came, of whatever size: what was overdue before says nothing of the next. */
  came(): void {
    this.#overdueAt = [];
  }

  /**
   * A lease is overdue to which bytes came. Where all chunks take so long, none would ever be there: each would be begun
   * anew by another before it is whole.
   */
  overdue(now: number): void {
    const last = this.#overdueAt.at(-1) ?? Number.NEGATIVE_INFINITY;
    // Leases that were begun together are overdue together.
    if (this.#overdueAt.length < MOST_OVERDUE && now - last >= this.patience) this.#overdueAt.push(now);
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

  /** What {@link patienceFor} gives for a chunk that is begun now. */
  get patience(): number {
    return this.patienceFor(Number.POSITIVE_INFINITY);
  }

  /**
   * The longest a chunk begun then may take before its lease is void, where its bytes do not come
   * {@link steadyPatienceFor steadily}. What was overdue since makes none of those longer that were begun before.
   */
  patienceFor(begunAt: number): number {
    const { usual } = this;
    const least = Math.max(FIRST_PATIENCE, FIRST_PATIENCE_EACH * this.#sharing);
    return this.#slowness(begunAt) * (usual === undefined ? least : Math.max(LEAST_PATIENCE, LATE * usual));
  }

  /**
   * The longest one may take whose bytes come steadily: connections share an uplink as it happens, and what comes slowly
   * is sooner there than what is begun anew.
   */
  steadyPatienceFor(begunAt: number, now: number): number {
    // Where nobody's chunk comes any more it is the line that has become slow, or all who hold leases give nothing.
    const slowed = LATE * (now - this.#notedAt) * this.#sharing;
    const patience = this.patienceFor(begunAt);
    const most = MOST_STEADY * this.#slowness(begunAt);
    return Math.max(patience, Math.min(most, Math.max(STEADY * patience, slowed)));
  }

  /** How many times as long a chunk begun then may take for what was overdue before. */
  #slowness(begunAt: number): number {
    return 2 ** this.#overdueAt.filter((at) => at <= begunAt).length;
  }
}
