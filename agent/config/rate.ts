import { z } from 'zod';
import type { RateWindow } from '../limits/schedule.ts';
import { parseSize } from './size.ts';
import { mustBe } from './values.ts';

/**
 * At this a chunk of 1 MiB takes 16 s, of the 20 s that its asker gives it; much slower, and all that is sent is for
 * nothing. Bytes a second.
 */
const LEAST_RATE = 64 * 1024;

/** More than any network card moves; a typing error rather than a wish. Bytes a second. */
const MOST_RATE = 1024 ** 4;

/** As Date.getDay() counts them. */
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

const EVERY_DAY: readonly number[] = DAYS.map((_, day) => day);

/** Minutes of a day. */
const MIDNIGHT = 24 * 60;

/** What one window of a limit may hold. */
export const WINDOW_SHAPE = {
  /** Bytes a second. */
  rate: z.unknown().transform((value, context) => {
    const { rate, problem } = parseRate(value);
    if (rate !== undefined) return rate;
    return complain(context, problem);
  }),
  /** Hour of the day, local time. Minutes here. */
  from: hour(false),
  /** Hour of the day, local time; on the next day where it is not after `from`. Minutes here. */
  to: hour(true),
  /** Days on which the window begins. @default every day */
  days: z
    .array(z.enum(DAYS, mustBe('mon, tue, wed, thu, fri, sat or sun')), mustBe('a list of days such as [mon, tue]'))
    .min(1, { error: 'must hold at least one' })
    .transform((days) => days.map((day) => DAYS.indexOf(day)))
    .default([...EVERY_DAY]),
};

const WINDOWS = z
  .array(
    z.strictObject(WINDOW_SHAPE, mustBe('a map of rate, from, to and days')).superRefine(({ from, to }, context) => {
      if (from === to) complain(context, 'must not begin and end at the same hour; a whole day is 00:00 to 24:00');
    }),
  )
  .min(1, { error: 'must hold at least one window; null is no limit' });

/** A limit: null, a rate in bytes a second, or windows by hours of the day. Its windows come out, none for no limit. */
export function rateLimit() {
  return z.unknown().transform((value, context): readonly RateWindow[] => {
    if (value === null) return [];
    if (Array.isArray(value)) {
      const windows = WINDOWS.safeParse(value);
      if (windows.success) return windows.data;
      for (const issue of windows.error.issues) {
        const { path, message } = issue;
        if (issue.code !== 'unrecognized_keys') context.addIssue({ code: 'custom', path, message });
        else context.addIssue({ code: issue.code, path, message, keys: issue.keys });
      }
      return z.NEVER;
    }
    const { rate, problem } = parseRate(value);
    if (rate === undefined) return complain(context, problem);
    return [{ rate, from: 0, to: MIDNIGHT, days: [...EVERY_DAY] }];
  });
}

function parseRate(value: unknown): { rate: number; problem?: never } | { rate?: never; problem: string } {
  if (value === undefined) return { problem: 'is missing' };
  const rate = typeof value === 'number' ? value : typeof value === 'string' ? parseSize(value) : undefined;
  if (rate === undefined || !Number.isInteger(rate) || rate < 0) {
    return { problem: 'must be a rate in bytes a second: 10MiB, 1250kB or 1000000' };
  }
  if (rate < LEAST_RATE) return { problem: 'must be at least 64KiB a second' };
  if (rate > MOST_RATE) return { problem: 'must be at most 1024GiB a second' };
  return { rate };
}

/** `HH:MM`; minutes since midnight come out. */
function hour(isEnd: boolean) {
  return z.unknown().transform((value, context) => {
    if (value === undefined) return complain(context, 'is missing');
    const [whole, hours, minutes] = typeof value === 'string' ? (/^([0-9]{2}):([0-5][0-9])$/.exec(value) ?? []) : [];
    const minute = Number(hours) * 60 + Number(minutes);
    if (whole !== value || minute > MIDNIGHT || (minute === MIDNIGHT && !isEnd)) {
      return complain(context, `must be an hour of the day in quotes, "00:00" to "${isEnd ? '24:00' : '23:59'}"`);
    }
    return minute;
  });
}

function complain(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
