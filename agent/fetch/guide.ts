import { type ChunkMap, chunkHash } from '../../protocol/chunk-map.ts';
import type { Change } from './change.ts';
import type { Holders } from './holders.ts';
import type { Inquiry } from './inquiry.ts';
import type { Intake } from './intake.ts';
import type { Partial } from './ports.ts';
import type { Sharing } from './sharing.ts';

/**
 * Has chunks taken from those who hold the blob whole, by the chunk map most of them claim, for as long as there are
 * any. Ends with `signal`.
 */
export async function followHolders(
  partial: Partial,
  intake: Intake,
  inquiry: Pick<Inquiry, 'settled'>,
  holders: Holders,
  sharing: Sharing,
  changes: Change,
  signal: AbortSignal,
): Promise<void> {
  const { digest } = partial;
  let told = '';
  while (!signal.aborted) {
    const best = holders.best();
    const names = namesOf(best);
    if (best === undefined) {
      if (told !== '') intake.guide(undefined, undefined, []);
      told = '';
    } else if (names !== told) {
      const [holder] = best.holders;
      if (holder === undefined) return;
      let map: ChunkMap;
      try {
        if (!told.startsWith(best.root)) sharing.on(digest, (share, now) => share.asksMap(now));
        map = await holders.adopt(holder, signal);
      } catch (error) {
        if (signal.aborted) return;
        holders.failed(holder.peer, error);
        continue;
      }
      const contradicted = disagreeing(partial, map);
      if (contradicted.some((index) => intake.vouched(index) === 'upstream')) {
        holders.setAside(best.root);
        continue;
      }
      const disputed = contradicted.find((index) => intake.vouched(index) === 'mark');
      // Either the signer or whoever claims the map is wrong, and upstream says who.
      if (disputed !== undefined && (await inquiry.settled(disputed, signal))) continue;
      if (contradicted.length > 0) await intake.forget(contradicted);
      intake.guide(
        map,
        best.root,
        best.holders.map(({ peer }) => peer),
      );
      told = names;
    }
    sharing.on(digest, (share, now) => {
      share.mapAnswered(now);
      if (holders.done) share.searched();
    });
    // Who came while the map did, or while it was compared, woke nobody.
    if (namesOf(holders.best()) === told) await changes.next(signal);
  }
}

/** A map and who claims it, in a word. */
function namesOf(best: ReturnType<Holders['best']>): string {
  return best === undefined ? '' : [best.root, ...best.holders.map(({ peer }) => peer)].join(' ');
}

/** The chunks that are there and are not what this map says. */
function disagreeing(partial: Partial, map: ChunkMap): number[] {
  const indexes: number[] = [];
  for (let index = 0; index < partial.layout.count; index++) {
    const sha256 = partial.hashOf(index);
    if (sha256 !== undefined && Buffer.compare(sha256, chunkHash(map, index)) !== 0) indexes.push(index);
  }
  return indexes;
}
