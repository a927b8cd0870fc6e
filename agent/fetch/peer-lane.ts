import { hash } from 'node:crypto';
import { type ChunkMap, chunkHash } from '../../protocol/chunk-map.ts';
import { type ChunkLayout, chunkLength } from '../../protocol/chunks.ts';
import type { Mark } from '../../protocol/mark.ts';
import { AgentError } from '../errors.ts';
import { withDeadline } from './deadline.ts';
import type { Marks } from './marks.ts';
import type { GivenChunk } from './ports.ts';
import { MOST_LANES } from './rules/part.ts';

/** How many chunks one of `blobs` blobs on their way may have under way from peers: all share them, as far as one each goes. */
export function lanesFor(blobs: number): number {
  return Math.max(1, Math.floor(MOST_LANES / blobs));
}

/**
 * The longest a chunk may take in all, so that a byte a second is no way to hold a pull; time in which our own limit
 * held chunks back does not count. Twelve chunks at once over a link of 10 Mbit/s take 10 s. Milliseconds.
 */
export const CHUNK_DEADLINE = 60_000;

/** What a chunk that came from a peer is checked by. */
export interface Verification {
  readonly layout: ChunkLayout;
  readonly marks: Marks;
  /** The chunk map in use when the chunk has come, where there is one: it may have proved false meanwhile. */
  map(): ChunkMap | undefined;
  /** Whether the sender itself claims that map. */
  isClaimed(): boolean;
  /** Whether a signer was caught lying. */
  isBanned(signer: string): boolean;
}

/** A chunk that was checked. */
export interface VerifiedChunk {
  readonly bytes: Uint8Array;
  readonly sha256: Uint8Array;
  /** Undefined where it is the chunk map that vouches for it. */
  readonly mark: Mark | undefined;
}

/**
 * A chunk from a peer, checked by the chunk map in use or by its mark.
 * @param fetch gives the chunk, unverified
 * @param heldBack milliseconds, in all so far, in which a limit of our own held back what is taken from peers
 * @returns undefined where nobody who counts vouches for it, and its sender may not know
 * @throws AgentError DIGEST_MISMATCH where the sender must have known that it is false, and what `fetch` throws
 */
export async function takeFromPeer(
  verification: Verification,
  index: number,
  fetch: (signal: AbortSignal) => Promise<GivenChunk>,
  heldBack: () => number,
  signal: AbortSignal,
): Promise<VerifiedChunk | undefined> {
  const { bytes, mark, ...given } = await withDeadline(signal, CHUNK_DEADLINE, 'a chunk', fetch, heldBack);
  // In this thread, 0.8 ms a chunk, unless another has made it already.
  const sha256 = given.sha256 ?? hash('sha256', bytes, 'buffer');
  const { marks, layout } = verification;
  const map = verification.map();
  if (bytes.length !== chunkLength(layout, index)) throw new AgentError('PEER_PROTOCOL', 'a chunk of another length');
  if (mark !== undefined && !marks.isTrue(index, sha256, mark)) throw mismatch(index, 'does not match its mark');
  const isMapped = map !== undefined && Buffer.compare(sha256, chunkHash(map, index)) === 0;
  if (mark === undefined) {
    if (isMapped) return { bytes, sha256, mark };
    // Who passes chunks on may have lost the mark of one that proved false meanwhile.
    if (map === undefined || !verification.isClaimed()) return undefined;
    throw mismatch(index, 'does not match its hash');
  }
  // Whoever passes on a liar's word, or contradicts the map, may do so in good faith.
  if (verification.isBanned(mark.signer) || (map !== undefined && !isMapped)) return undefined;
  return { bytes, sha256, mark };
}

function mismatch(index: number, why: string): AgentError {
  return new AgentError('DIGEST_MISMATCH', `chunk ${index} ${why}`);
}
