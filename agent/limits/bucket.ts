/** What may go at once after a pause, at least: one read of a socket. Bytes. */
const LEAST_BURST = 64 * 1024;

/** What may go at once after a pause, in time: a busy event loop is late by so much, and nothing is lost by it. ms. */
const BURST_TIME = 100;

/** The burst at a rate in bytes a second. Bytes. */
export function burstAt(rate: number): number {
  return Math.max(LEAST_BURST, (rate * BURST_TIME) / 1000);
}

/** A token bucket: over any span of T seconds it lets through `rate` × T bytes and one burst at most. */
export interface Bucket {
  /** What it holds when it is full. More than that cannot be taken at once. Bytes. */
  readonly burst: number;
  /**
   * Takes `bytes`, a burst at most, if they are there.
   * @param now milliseconds of any clock that never runs back
   * @returns 0 where they were taken, else the milliseconds after which they will be there
   */
  take(bytes: number, now: number): number;
  /** Goes on at another rate, bytes a second, with what it holds. */
  setRate(rate: number, now: number): void;
}

/** A full bucket. @param rate bytes a second */
export function createBucket(rate: number, now: number): Bucket {
  let perMillisecond = rate / 1000;
  let burst = burstAt(rate);
  let held = burst;
  let since = now;
  const fill = (at: number): void => {
    held = Math.min(burst, held + Math.max(0, at - since) * perMillisecond);
    since = Math.max(since, at);
  };
  return {
    get burst() {
      return burst;
    },
    take(bytes, at) {
      if (bytes > burst) throw new RangeError(`${bytes} bytes are more than a burst of ${burst}`);
      fill(at);
      // A millionth of a byte is what adding fractions may have lost: without it a wait could be endlessly short.
      if (held + 1e-6 < bytes) return (bytes - held) / perMillisecond;
      held = Math.max(0, held - bytes);
      return 0;
    },
    setRate(next, at) {
      fill(at);
      perMillisecond = next / 1000;
      burst = burstAt(next);
      held = Math.min(held, burst);
    },
  };
}
