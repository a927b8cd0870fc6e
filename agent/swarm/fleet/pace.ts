/** A token bucket for messages. Pure: times are ms of one clock, given by the caller. */
export interface Pace {
  /** Takes one message. Returns the ms that have to pass before the next is read; 0 where it may be at once. */
  take(now: number): number;
  /** Takes one message if it may be read at once. Returns whether it did. */
  tryTake(now: number): boolean;
}

export interface PaceInit {
  /** Messages a second. */
  readonly rate: number;
  /** Messages that may come at once. */
  readonly burst: number;
}

export function createPace({ rate, burst }: PaceInit): Pace {
  let level = burst;
  let at = Number.NEGATIVE_INFINITY;
  const refill = (now: number): void => {
    level = Math.min(burst, level + ((now - at) * rate) / 1_000);
    at = now;
  };
  return {
    take(now) {
      refill(now);
      level -= 1;
      return level >= 0 ? 0 : (-level * 1_000) / rate;
    },
    tryTake(now) {
      refill(now);
      if (level < 1) return false;
      level -= 1;
      return true;
    },
  };
}
