import { type Bucket, createBucket } from './bucket.ts';
import { createQueue, type Waiting } from './queue.ts';
import { localTime, type RateWindow, rateAt, untilChange } from './schedule.ts';

/** Holds a kind of traffic to its limit. Shared by all who carry that traffic. */
export interface Throttle {
  /** Bytes a second that apply now; undefined where no limit does. */
  readonly rate: number | undefined;
  /** Milliseconds in all in which somebody was held back: what a time-out must not blame on another. */
  readonly held: number;
  /** What should be taken at a time, of `wanted` bytes: little enough that all who share a limit move all the time. */
  piece(wanted: number): number;
  /**
   * Pays for bytes. What it returns is to be awaited; undefined where they may go at once. First come, first served.
   * @throws the signal's reason
   */
  take(bytes: number, signal: AbortSignal): Promise<void> | undefined;
}

/** No limit, at no cost. */
export const UNLIMITED: Throttle = { rate: undefined, held: 0, piece: (wanted) => wanted, take: () => undefined };

export interface ThrottleComponents {
  /** Monotonic, milliseconds. @default performance.now */
  readonly now?: () => number;
  /** The wall's clock. @default the system's */
  readonly date?: () => Date;
}

/** Pieces are worth so much time at the limit's rate. Milliseconds. */
const PIECE_TIME = 10;

/** And so many bytes at least: the progress that a peer expects within a stall time-out. */
const LEAST_PIECE = 16 * 1024;

/** A throttle for a limit's windows; {@link UNLIMITED} where there are none. */
export function createThrottle(windows: readonly RateWindow[], components: ThrottleComponents = {}): Throttle {
  return windows.length === 0 ? UNLIMITED : new BucketThrottle(windows, components);
}

class BucketThrottle implements Throttle {
  readonly #windows: readonly RateWindow[];
  readonly #now: () => number;
  readonly #date: () => Date;
  readonly #queue = createQueue();
  #bucket: Bucket | undefined;
  #rate: number | undefined;
  /** When to look at the wall's clock again. */
  #nextLook = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #held = 0;
  /** Since when somebody waits. */
  #heldSince: number | undefined;

  constructor(windows: readonly RateWindow[], { now, date }: ThrottleComponents) {
    this.#windows = windows;
    this.#now = now ?? (() => performance.now());
    this.#date = date ?? (() => new Date());
  }

  get rate(): number | undefined {
    this.#look(this.#now());
    return this.#rate;
  }

  get held(): number {
    return this.#held + (this.#heldSince === undefined ? 0 : this.#now() - this.#heldSince);
  }

  piece(wanted: number): number {
    const { rate } = this;
    if (rate === undefined) return wanted;
    return Math.min(wanted, Math.max(LEAST_PIECE, Math.floor((rate * PIECE_TIME) / 1000)));
  }

  take(bytes: number, signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) return Promise.reject(signal.reason);
    const now = this.#now();
    this.#look(now);
    const bucket = this.#bucket;
    if (bucket === undefined) return undefined;
    if (this.#queue.isEmpty && bytes <= bucket.burst && bucket.take(bytes, now) === 0) return undefined;
    return this.#wait(bytes, signal);
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        left: bytes,
        release() {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        this.#queue.leave(waiting);
        reject(signal.reason);
        this.#serve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#heldSince ??= this.#now();
      this.#queue.join(waiting);
      if (this.#timer === undefined) this.#serve();
    });
  }

  /** Releases whom it can, and sees to it that it is called again while somebody waits. */
  #serve(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = this.#now();
    this.#look(now);
    const wait = this.#bucket === undefined ? this.#queue.releaseAll() : this.#queue.serve(this.#bucket, now);
    if (wait !== undefined) {
      // At the next look the limit may be another.
      this.#timer = setTimeout(() => this.#serve(), Math.ceil(Math.min(wait, this.#nextLook - now)));
      return;
    }
    if (this.#heldSince !== undefined) this.#held += now - this.#heldSince;
    this.#heldSince = undefined;
  }

  /** Sees which rate applies, once a minute. */
  #look(now: number): void {
    if (now < this.#nextLook) return;
    const date = this.#date();
    this.#nextLook = now + untilChange(date);
    this.#rate = rateAt(this.#windows, localTime(date));
    if (this.#rate === undefined) this.#bucket = undefined;
    else if (this.#bucket === undefined) this.#bucket = createBucket(this.#rate, now);
    else this.#bucket.setRate(this.#rate, now);
  }
}
