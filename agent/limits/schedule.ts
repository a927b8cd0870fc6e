/** A rate that applies at some hours of some days. */
export interface RateWindow {
  /** Bytes a second. */
  readonly rate: number;
  /** Minutes since midnight, local time; from this one on. */
  readonly from: number;
  /** Minutes since midnight, up to and without this one; on the next day where it is not after `from`. */
  readonly to: number;
  /** Days on which the window begins, as Date.getDay() counts: 0 is Sunday. */
  readonly days: readonly number[];
}

/** What a clock on the wall shows. */
export interface LocalTime {
  /** 0 is Sunday. */
  readonly day: number;
  /** Since midnight. */
  readonly minute: number;
}

const MINUTE = 60_000;

/**
 * The rate at a local time, bytes a second: the smallest of the windows that are open, undefined where none is. What
 * counts is the clock on the wall: of an hour that a change of the clocks skips nothing applies, and one that comes
 * twice applies twice.
 */
export function rateAt(windows: readonly RateWindow[], time: LocalTime): number | undefined {
  let smallest: number | undefined;
  for (const window of windows) {
    if (isOpen(window, time) && (smallest === undefined || window.rate < smallest)) smallest = window.rate;
  }
  return smallest;
}

/**
 * Milliseconds until the rate may next change: the next full minute. Windows open and close at full minutes, and so do
 * changes of the clocks; looking that often also follows a clock that was set.
 */
export function untilChange(date: Date): number {
  return MINUTE - (date.getSeconds() * 1000 + date.getMilliseconds());
}

/** In the process's own time zone. */
export function localTime(date: Date): LocalTime {
  return { day: date.getDay(), minute: date.getHours() * 60 + date.getMinutes() };
}

function isOpen({ from, to, days }: RateWindow, { day, minute }: LocalTime): boolean {
  if (from < to) return days.includes(day) && from <= minute && minute < to;
  const yesterday = (day + 6) % 7;
  return (days.includes(day) && minute >= from) || (days.includes(yesterday) && minute < to);
}
