import type { Digest } from '../../protocol/digest.ts';

/** Blobs advertised in the DHT: the most recently held ones. */
export const MAX_ADVERTISED = 2_000;

/** The least time between two provides; one costs about 10 ms of CPU in a small net. ms. */
export const MIN_GAP = 500;

/** The most: a measurement that was off does not silence the agent. ms. */
export const MAX_GAP = 30_000;

/** What advertising may cost of one core. */
export const CPU_SHARE = 0.02;

/** A record is renewed after this part of its validity: the rest is for the queue in front of it. */
export const RENEW_AFTER = 0.6;

/** After a provide that failed, or found nobody to tell, the blob waits this long. ms. */
export const RETRY_AFTER = 2_000;

/** A blob that is due is advertised after this, whatever else the agent takes. ms */
export const LATE_AFTER = 600_000;

export interface AdvertiseInit {
  /** How long a record is good for. ms */
  readonly validity: number;
  /**
   * For so long after a blob came to be held nothing is advertised: who has just taken it with its LAN takes the next one.
   * ms
   */
  readonly calm: number;
  /** @default MAX_ADVERTISED */
  readonly limit?: number;
}

/** Decides which blob is provided when. Pure: times are ms of one clock, given by the caller. */
export interface AdvertiseSchedule {
  /**
   * A blob is held: it goes to the front. Beyond the limit the longest held is forgotten; returns it.
   * @param now where it has come only now @default it was held all along, and may be provided at once
   */
  hold(digest: Digest, now?: number): Digest | undefined;
  /** A blob is gone. Returns whether it was provided, so that its record must be cancelled. */
  drop(digest: Digest): boolean;
  /** The blob to provide now, and when to look again. The caller provides it and tells how that went. */
  next(now: number): { readonly digest: Digest | undefined; readonly lookAgainAt: number };
  /** @param cpu ms of CPU that the attempt cost */
  done(digest: Digest, now: number, succeeded: boolean, cpu: number): void;
}

interface Entry {
  dueAt: number;
  /** From when on no calm is waited for. */
  lateAt: number;
  provided: boolean;
}

export function createAdvertiseSchedule(init: AdvertiseInit): AdvertiseSchedule {
  const limit = init.limit ?? MAX_ADVERTISED;
  /** In order of age: the last was held last. */
  const entries = new Map<Digest, Entry>();
  let freeAt = Number.NEGATIVE_INFINITY;
  let calmAt = Number.NEGATIVE_INFINITY;

  return {
    hold(digest, now = Number.NEGATIVE_INFINITY) {
      const entry = entries.get(digest) ?? { dueAt: now, lateAt: now + LATE_AFTER, provided: false };
      calmAt = Math.max(calmAt, now + init.calm);
      entries.delete(digest);
      entries.set(digest, entry);
      if (entries.size <= limit) return undefined;
      const [oldest] = entries.keys();
      if (oldest !== undefined) entries.delete(oldest);
      return oldest;
    },
    drop(digest) {
      const provided = entries.get(digest)?.provided ?? false;
      entries.delete(digest);
      return provided;
    },
    next(now) {
      if (now < freeAt) return { digest: undefined, lookAgainAt: freeAt };
      const due = firstDue(entries, now, now >= calmAt);
      if (due !== undefined) return { digest: due, lookAgainAt: now };
      let earliest = Number.POSITIVE_INFINITY;
      for (const { dueAt, lateAt } of entries.values()) {
        earliest = Math.min(earliest, Math.max(dueAt, Math.min(calmAt, lateAt)));
      }
      return { digest: undefined, lookAgainAt: earliest };
    },
    done(digest, now, succeeded, cpu) {
      freeAt = now + Math.min(MAX_GAP, Math.max(MIN_GAP, cpu / CPU_SHARE));
      const entry = entries.get(digest);
      // Dropped meanwhile.
      if (entry === undefined) return;
      entry.provided ||= succeeded;
      entry.dueAt = now + (succeeded ? init.validity * RENEW_AFTER : RETRY_AFTER);
      entry.lateAt = entry.dueAt + LATE_AFTER;
    },
  };
}

/** Of those due: the never provided before renewals, the latest held first. */
function firstDue(entries: ReadonlyMap<Digest, Entry>, now: number, isCalm: boolean): Digest | undefined {
  let fresh: Digest | undefined;
  let renewal: Digest | undefined;
  for (const [digest, { dueAt, lateAt, provided }] of entries) {
    if (dueAt > now || (!isCalm && lateAt > now)) continue;
    if (provided) renewal = digest;
    else fresh = digest;
  }
  return fresh ?? renewal;
}
