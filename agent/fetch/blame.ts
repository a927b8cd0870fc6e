/** A marked chunk of a blob whose whole did not match. */
export interface Suspect {
  readonly index: number;
  /** Upstream itself, a peer by the chunk map in use, or a peer by somebody's mark. */
  readonly vouched: 'upstream' | 'map' | 'mark';
}

/** What to do when every chunk is there and the whole does not match its digest. */
export interface Verdict {
  /** Chunks to forget and take again; none where it has to be found out first who lied. */
  readonly drop: readonly number[];
  /** Whether the chunk map itself is proved false, and with it all who claimed it. */
  readonly mapIsFalse: boolean;
  /** Whether upstream is the one that sent something else than was asked for. */
  readonly upstreamIsWrong: boolean;
}

/**
 * Who is to blame for a whole that does not match. Each chunk that came by the map matched it: so where all did, the map
 * is false. Where only some did, they are dropped first; who lied is known once the whole matches (see {@link liars}).
 * Where none did, some signer lied, and a trial has to find out who. Where nothing came from peers, upstream is wrong.
 */
export function judge(suspects: readonly Suspect[]): Verdict {
  const mapped = suspects.filter(({ vouched }) => vouched === 'map');
  const isAllUpstream = suspects.every(({ vouched }) => vouched === 'upstream');
  const drop = (isAllUpstream ? suspects : mapped).map(({ index }) => index);
  return {
    drop,
    mapIsFalse: mapped.length > 0 && mapped.length === suspects.length,
    upstreamIsWrong: isAllUpstream,
  };
}

/** The peers that claimed another chunk map than the true one: an honest holder has verified the blob and cannot. */
export function liars(trueRoot: string, claims: readonly { peer: string; root: string }[]): string[] {
  return claims.filter((claim) => claim.root !== trueRoot).map((claim) => claim.peer);
}
