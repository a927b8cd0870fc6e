import type { Digest } from '../../../protocol/digest.ts';
import { ANNOUNCE_WITHIN, BLOBS_PER_ANNOUNCEMENT, ROSTER_LENGTH } from '../limits.ts';

/** What is to be done next for one neighbour. */
export type Step =
  /** Say of each whether it is held. */
  | { readonly kind: 'tell'; readonly digests: Digest[] }
  /** Say that everything has been told. */
  | { readonly kind: 'complete' }
  /** Nothing before this time. */
  | { readonly kind: 'wait'; readonly until: number }
  /** So much has changed that telling everything anew, on a new stream, is shorter. */
  | { readonly kind: 'overflow' };

/**
 * What one neighbour has yet to be told. Of a change only the digest is kept, and what is true of it is looked up when
 * it is told: a neighbour that takes its announcements slowly, or not at all, costs one entry a blob, however often
 * that comes and goes. Pure: times are ms of one clock, given by the caller.
 */
export interface Pending {
  /** A blob has come or gone. */
  changed(digest: Digest, now: number): void;
  /** What to do now; it counts as done. */
  next(now: number): Step;
}

export interface PendingInit {
  /** @default BLOBS_PER_ANNOUNCEMENT */
  readonly perMessage?: number;
  /** @default ROSTER_LENGTH */
  readonly limit?: number;
}

/** @param whole everything there is to tell, the most wanted first */
export function createPending(whole: readonly Digest[], init: PendingInit = {}): Pending {
  const { perMessage = BLOBS_PER_ANNOUNCEMENT, limit = ROSTER_LENGTH } = init;
  const changes = new Set<Digest>();
  let rest = whole;
  let at = 0;
  let isComplete = false;
  let dueAt = Number.POSITIVE_INFINITY;
  let toldAt = Number.NEGATIVE_INFINITY;
  let hasOverflowed = false;

  return {
    changed(digest, now) {
      // The first at once; what follows close behind it goes together.
      if (changes.size === 0) dueAt = Math.max(now, toldAt + ANNOUNCE_WITHIN);
      if (changes.size < limit) changes.add(digest);
      else hasOverflowed ||= !changes.has(digest);
    },
    next(now) {
      if (hasOverflowed) return { kind: 'overflow' };
      // What has just changed is what a pull waits for: before the rest of the whole.
      if (now >= dueAt || changes.size >= perMessage) {
        const digests: Digest[] = [];
        for (const digest of changes) {
          if (digests.length === perMessage) break;
          digests.push(digest);
          changes.delete(digest);
        }
        toldAt = now;
        // What is left has waited as long.
        if (changes.size === 0) dueAt = Number.POSITIVE_INFINITY;
        return { kind: 'tell', digests };
      }
      if (at < rest.length) {
        const digests = rest.slice(at, at + perMessage);
        at += digests.length;
        return { kind: 'tell', digests };
      }
      rest = [];
      at = 0;
      if (!isComplete) {
        isComplete = true;
        return { kind: 'complete' };
      }
      return { kind: 'wait', until: dueAt };
    },
  };
}
