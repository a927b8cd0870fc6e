import { matchesPattern, precisionOf } from '../../oci/pattern.ts';
import type { TagRecord } from './ports.ts';

/** How long what upstream said of the tags that fit a pattern is not asked again. */
export interface FreshFor {
  readonly pattern: string;
  /** Milliseconds; 0: every request asks. */
  readonly time: number;
}

/** How the tags of a registry are treated. */
export interface TagSettings {
  readonly fresh: readonly FreshFor[];
  /** Patterns of tags that never move: once known they are never asked again. */
  readonly immutable: readonly string[];
  /** Whether peers' word counts: beside upstream's, while upstream is away, or not at all. @default never */
  readonly fromPeers?: 'never' | 'when-offline' | 'always';
  /** Peer ids of who is believed where no network key keeps strangers out. @default none */
  readonly trust?: readonly string[];
}

/** Of tags that no pattern fits. Milliseconds. */
const DEFAULT_FRESH = 60_000;

/** `answer`: from the record, with no word to upstream. `ask`: upstream, and if it cannot say, the stale record does. */
export type Verdict<Known> =
  | { readonly kind: 'answer'; readonly record: Known }
  | { readonly kind: 'ask'; readonly stale: Known | undefined };

/** What to do about a tag of which `record` is known. `now` in milliseconds since the epoch. */
export function judge<Known extends Pick<TagRecord, 'checkedAt'>>(
  record: Known | undefined,
  tag: string,
  settings: TagSettings,
  now: number,
): Verdict<Known> {
  if (record === undefined) return { kind: 'ask', stale: undefined };
  if (settings.immutable.some((pattern) => matchesPattern(pattern, tag))) return { kind: 'answer', record };
  const age = now - record.checkedAt;
  // A record of the future is one from before the clock was put back: nobody knows how old it is.
  const isFresh = age >= 0 && age < freshTime(tag, settings);
  return isFresh ? { kind: 'answer', record } : { kind: 'ask', stale: record };
}

/** The pattern that says most counts, wherever it stands; of two that say as much, the shorter time. */
function freshTime(tag: string, { fresh }: TagSettings): number {
  const fitting = fresh.filter(({ pattern }) => matchesPattern(pattern, tag));
  const precision = Math.max(...fitting.map(({ pattern }) => precisionOf(pattern)));
  const times = fitting.filter(({ pattern }) => precisionOf(pattern) === precision).map(({ time }) => time);
  return times.length === 0 ? DEFAULT_FRESH : Math.min(...times);
}
