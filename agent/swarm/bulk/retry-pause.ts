/** How long after a failure another lane is tried; doubled each time, up to {@link LONGEST_PAUSE}. ms */
export const FIRST_PAUSE = 5_000;
export const LONGEST_PAUSE = 600_000;

/** When a lane that failed is tried again. Pure; times in ms of one clock. */
export class RetryPause {
  #pause = FIRST_PAUSE;
  #notBefore = Number.NEGATIVE_INFINITY;

  mayTry(now: number): boolean {
    return now >= this.#notBefore;
  }

  failed(now: number): void {
    this.#notBefore = now + this.#pause;
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  /** A body has come by the lane. That it opens says nothing: a middlebox may let it open each time, and break it. */
  worked(): void {
    this.#pause = FIRST_PAUSE;
  }
}
