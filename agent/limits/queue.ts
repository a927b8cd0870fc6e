import type { Bucket } from './bucket.ts';

/** One who waits for bytes. */
export interface Waiting {
  /** Bytes still to be paid for. */
  left: number;
  /** Its bytes are paid. */
  release(): void;
}

/** Those who wait for a bucket: first come, first served, so that nobody starves however many come after. */
export interface Queue {
  readonly isEmpty: boolean;
  join(waiting: Waiting): void;
  /** One who no longer wants its bytes; those behind move up. What it has paid is lost. */
  leave(waiting: Waiting): void;
  /**
   * Releases whom the bucket can serve now.
   * @returns milliseconds until it is worth asking again; undefined where nobody waits
   */
  serve(bucket: Bucket, now: number): number | undefined;
  /** Releases all. */
  releaseAll(): void;
}

export function createQueue(): Queue {
  // A Set keeps the order, and lets one leave from the middle.
  const line = new Set<Waiting>();
  return {
    get isEmpty() {
      return line.size === 0;
    },
    join: (waiting) => void line.add(waiting),
    leave: (waiting) => void line.delete(waiting),
    serve(bucket, now) {
      for (const first of line) {
        // More than a burst is paid for burst by burst, and nobody passes meanwhile.
        while (first.left > 0) {
          const part = Math.min(first.left, bucket.burst);
          const wait = bucket.take(part, now);
          if (wait > 0) return wait;
          first.left -= part;
        }
        line.delete(first);
        first.release();
      }
      return undefined;
    },
    releaseAll() {
      for (const waiting of line) {
        line.delete(waiting);
        waiting.release();
      }
    },
  };
}
