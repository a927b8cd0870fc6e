import { hash } from 'node:crypto';
import type { Digest } from './digest.ts';

/**
 * What one peer draws for one blob: the SHA-256 of the digest's text, a NUL byte, and the peer id's text. Everybody
 * computes the same, so a blob's coordinator is agreed on without a word, and each blob has another.
 */
export function rank(digest: Digest, peer: string): Uint8Array {
  return hash('sha256', `${digest}\0${peer}`, 'buffer');
}

/** Orders ranks as unsigned big-endian numbers: negative where `one` is the lower. */
export function compareRanks(one: Uint8Array, other: Uint8Array): number {
  return Buffer.compare(one, other);
}

/** `peers` from the highest rank for this blob to the lowest: the first is its coordinator. */
export function rendezvousOrder(digest: Digest, peers: readonly string[]): string[] {
  return peers
    .map((peer) => ({ peer, rank: rank(digest, peer) }))
    .sort((one, other) => compareRanks(other.rank, one.rank))
    .map(({ peer }) => peer);
}
