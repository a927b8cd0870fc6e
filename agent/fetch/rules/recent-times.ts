/** Times that are remembered: enough for a median, few enough to follow a line that slows down. */
const REMEMBERED = 33;

/** How long the last of something took. Pure; ms. */
export class RecentTimes {
  readonly #times: number[] = [];
  #median: number | undefined;

  note(ms: number): void {
    this.#times.push(ms);
    if (this.#times.length > REMEMBERED) this.#times.shift();
    this.#median = undefined;
  }

  clear(): void {
    this.#times.length = 0;
    this.#median = undefined;
  }

  /** undefined where nothing was noted. */
  get median(): number | undefined {
    if (this.#times.length === 0) return undefined;
    this.#median ??= [...this.#times].sort((a, b) => a - b)[this.#times.length >> 1] as number;
    return this.#median;
  }

  /** undefined where nothing was noted. */
  get mean(): number | undefined {
    if (this.#times.length === 0) return undefined;
    let sum = 0;
    for (const time of this.#times) sum += time;
    return sum / this.#times.length;
  }
}
