import type { Digest } from '../../../protocol/digest.ts';
import type { Announcement } from '../../../protocol/messages.ts';
import type { Roster } from './roster.ts';

/** What is true of each now; what is gone first, so that a neighbour never has to keep more than the roster's length. */
export function announcementsOf(digests: readonly Digest[], roster: Pick<Roster, 'describe'>): Announcement[] {
  const gone: Digest[] = [];
  const blobs: [Digest, number, Uint8Array][] = [];
  for (const digest of digests) {
    const held = roster.describe(digest);
    if (held === undefined) gone.push(digest);
    else blobs.push([digest, held.size, Buffer.from(held.root, 'hex')]);
  }
  return [
    ...(gone.length > 0 ? [{ type: 'drop' as const, digests: gone }] : []),
    ...(blobs.length > 0 ? [{ type: 'hold' as const, blobs }] : []),
  ];
}
