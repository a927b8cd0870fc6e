/** What of a registry peers may have: what is public, everything, or nothing. */
export type Share = 'public' | 'all' | 'none';

/**
 * What a registry said to somebody who showed it no credentials: that anybody may have the repository, that it does not
 * tell them, or that there is no such thing. The last may be its way to hide a repository, or a tag that nobody has.
 */
export type Said = 'public' | 'denied' | 'missing';

/** What was found out of a repository, and when. */
export interface Standing {
  readonly said: Said;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
}

/** What is known of a repository. */
export interface Known {
  readonly standing: Standing | undefined;
  /** When the registry last could not be asked, or did not say; undefined: not since. Milliseconds since the epoch. */
  readonly failedAt: number | undefined;
}

/** What follows from it. */
export interface Verdict {
  /** Whether peers may have a part in what comes from there. */
  readonly isShared: boolean;
  /** Whether it is time to ask. */
  readonly isDue: boolean;
}

/**
 * How long an answer is not asked for again. Milliseconds: one small request an hour for a repository that is in use; a
 * mistyped tag must not keep a public repository from a fleet for as long.
 */
const ASK_AFTER: Readonly<Record<Said, number>> = { public: 3_600_000, denied: 3_600_000, missing: 300_000 };

/** How long "public" holds where it cannot be asked again: a day without the uplink is when peers are of most use. Milliseconds. */
const PUBLIC_STANDS = 86_400_000;

/** After a registry did not say, it is left alone for so long. Milliseconds: a pull's requests come closer together. */
const ASK_AGAIN = 30_000;

export const UNKNOWN: Known = { standing: undefined, failedAt: undefined };

/**
 * What is made of a repository: private until it is known to be public.
 * @param mayBePrivate whether its registry has credentials: else all that comes from it comes to anybody
 * @param now milliseconds since the epoch
 */
export function judge(share: Share, mayBePrivate: boolean, { standing, failedAt }: Known, now: number): Verdict {
  if (share === 'none') return { isShared: false, isDue: false };
  if (share === 'all' || !mayBePrivate) return { isShared: true, isDue: false };
  const isLeft = isWithin(failedAt, ASK_AGAIN, now);
  if (standing === undefined) return { isShared: false, isDue: !isLeft };
  const { said, checkedAt } = standing;
  return {
    isShared: said === 'public' && isWithin(checkedAt, PUBLIC_STANDS, now),
    isDue: !isWithin(checkedAt, ASK_AFTER[said], now) && !isLeft,
  };
}

/** What is of the future is from before the clock was put back: nobody knows how old it is. */
function isWithin(since: number | undefined, time: number, now: number): boolean {
  return since !== undefined && now >= since && now - since < time;
}
