/** A token bucket for messages. Pure: times are ms of one clock, given by the caller. */
export interface Pace {
  /** Takes one message. Returns the ms that have to pass before the next is read; 0 where it may be at once. */
  take(now: number): number;
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
  return {
    take(now) {
      level = Math.min(burst, level + ((now - at) * rate) / 1_000) - 1;
      at = now;
      return level >= 0 ? 0 : (-level * 1_000) / rate;
    },
  };
}
