import type { Source } from './ports.ts';

/** A marked chunk of a blob whose whole did not match. */
export interface Suspect {
  readonly index: number;
  readonly source: Source;
}

/** What to do when every chunk is there and the whole does not match its digest. */
export interface Verdict {
  /** Chunks to forget and take again. */
  readonly drop: readonly number[];
  /** Whether the chunk map itself is proved false, and with it all who claimed it. */
  readonly mapIsFalse: boolean;
  /** Whether upstream is the one that sent something else than was asked for. */
  readonly upstreamIsWrong: boolean;
}

/**
 * Who is to blame for a whole that does not match. Each chunk matched the map by its SHA-256: so where all came from
 * peers, the map is false. Where some came from upstream, what peers sent is dropped first; who lied is known once
 * the whole matches (see {@link liars}). Where nothing came from peers, upstream is wrong.
 */
export function judge(suspects: readonly Suspect[]): Verdict {
  const fromPeers = suspects.filter((suspect) => suspect.source === 'peer');
  const drop = (fromPeers.length > 0 ? fromPeers : suspects).map((suspect) => suspect.index);
  return {
    drop,
    mapIsFalse: fromPeers.length > 0 && fromPeers.length === suspects.length,
    upstreamIsWrong: fromPeers.length === 0,
  };
}

/** The peers that claimed another chunk map than the true one: an honest holder has verified the blob and cannot. */
export function liars(trueRoot: string, claims: readonly { peer: string; root: string }[]): string[] {
  return claims.filter((claim) => claim.root !== trueRoot).map((claim) => claim.peer);
}
