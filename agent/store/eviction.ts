import type { Digest } from '../../protocol/digest.ts';

/** Disks give room by blocks; a manifest of 500 bytes takes one. Bytes. */
export const BLOCK = 4096;

/**
 * What is evicted beyond what is needed, as a share of what the store can come to: a round costs a query, a transaction and a wait for
 * the disk, so at the bound not every commit should have one. A hundredth (200 MiB of 20 GiB) is a dozen layers of
 * common size, and what it costs is the hundredth of the store that was used longest ago.
 */
const SLACK_SHARE = 1 / 100;

/** Something that may make room. */
export interface Candidate {
  readonly digest: Digest;
  /** `partial`: one that nobody is fetching. */
  readonly kind: 'blob' | 'partial';
  /** Bytes of the disk that it takes. */
  readonly room: number;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
}

/** What a file of `size` bytes takes of the disk. */
export function roomOf(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** What a round of eviction may take beyond what is needed. All in bytes. */
export function slackOf(bound: number): number {
  return Math.floor(bound * SLACK_SHARE);
}

/**
 * Chooses what goes, by last use: as much as makes `needed` bytes of room, then more only as long as it fits into
 * `slack`. Less than needed only where nothing else may go.
 * @param candidates the one used longest ago first; read no further than needed
 * @param mayGo false for what is pinned or in use
 */
export function chooseVictims(
  candidates: Iterable<Candidate>,
  mayGo: (candidate: Candidate) => boolean,
  needed: number,
  slack: number,
): Candidate[] {
  const victims: Candidate[] = [];
  if (needed <= 0) return victims;
  let room = 0;
  for (const candidate of candidates) {
    if (room >= needed && room + candidate.room > needed + slack) break;
    if (!mayGo(candidate)) continue;
    victims.push(candidate);
    room += candidate.room;
  }
  return victims;
}

/** Two streams by last use as one: a partial that nobody fetches is worth what a blob used at the same time is. */
export function* byLastUse(a: Iterable<Candidate>, b: Iterable<Candidate>): Generator<Candidate> {
  const streams = [a[Symbol.iterator](), b[Symbol.iterator]()] as const;
  const heads = [streams[0].next(), streams[1].next()];
  try {
    for (;;) {
      const [x, y] = heads as [IteratorResult<Candidate>, IteratorResult<Candidate>];
      if (x.done && y.done) return;
      const at = y.done || (!x.done && x.value.lastUsed <= y.value.lastUsed) ? 0 : 1;
      yield heads[at]!.value;
      heads[at] = streams[at]!.next();
    }
  } finally {
    // Whoever has enough stops early; a query that is left open would hold up the database.
    for (const stream of streams) stream.return?.();
  }
}
