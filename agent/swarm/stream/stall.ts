/**
 * Bytes that must move within each stall time-out. One byte now and then is no progress: a peer that dribbles would
 * otherwise hold a chunk for days.
 */
export const MIN_PROGRESS = 16 * 1024;

/** Looks per time-out: a stall is noticed a quarter of the time-out late at most. */
const LOOKS = 4;

/** Watches that something moves. One timer however many bytes pass. */
export interface StallWatch {
  /** Notes bytes that moved. */
  progress(bytes: number): void;
  /** Awaits a wait of our own, which is nobody's stall: each look that falls into it or follows it sees progress. */
  during(wait: Promise<void>): Promise<void>;
  stop(): void;
}

/**
 * Calls `onStall` once, when fewer than `minimum` bytes moved within `timeout` ms.
 * The timer does not keep the process alive: whoever waits on a stream has a socket that does.
 */
export function watchStall(timeout: number, onStall: () => void, minimum = MIN_PROGRESS): StallWatch {
  // Until the first time-out has passed, nothing has stalled.
  const moved: number[] = Array.from({ length: LOOKS }, () => minimum);
  let latest = 0;
  let waits = 0;
  const timer = setInterval(() => {
    moved.shift();
    moved.push(latest);
    latest = waits > 0 ? Number.POSITIVE_INFINITY : 0;
    if (moved.reduce((sum, bytes) => sum + bytes, 0) >= minimum) return;
    clearInterval(timer);
    onStall();
  }, timeout / LOOKS);
  timer.unref();
  return {
    progress(bytes) {
      latest += bytes;
    },
    async during(wait) {
      latest = Number.POSITIVE_INFINITY;
      waits += 1;
      try {
        await wait;
      } finally {
        waits -= 1;
      }
    },
    stop() {
      clearInterval(timer);
    },
  };
}
