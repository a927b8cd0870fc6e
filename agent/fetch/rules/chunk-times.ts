/** A chunk may always take this long. ms */
const LEAST_PATIENCE = 2_000;

/** And this long before any chunk's time is known: a chunk at 1 Mbit/s takes 8 s. ms */
const FIRST_PATIENCE = 20_000;

/** Times of how many chunks are remembered: enough for a median, few enough to follow a line that slows down. */
const REMEMBERED = 33;

/** How long chunks take from upstream: what a lease is judged by. Pure; ms. */
export class ChunkTimes {
  readonly #times: number[] = [];

  note(ms: number): void {
    this.#times.push(ms);
    if (this.#times.length > REMEMBERED) this.#times.shift();
  }

  /** The longest one chunk may take before its lease is void. */
  get patience(): number {
    if (this.#times.length === 0) return FIRST_PATIENCE;
    const sorted = [...this.#times].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] as number;
    return Math.max(LEAST_PATIENCE, 4 * median);
  }
}
