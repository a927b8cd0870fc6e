import { hasBit } from '../../../protocol/bitmap.ts';
import type { Part } from './part.ts';
import type { Table } from './table.ts';
import { isWithin, type Segment } from './taking.ts';

/** How long a pull may stand still, with nobody who could move it, before it takes matters in its own hands. ms */
export const STANDSTILL = 5_000;

/** How long one waits for the next in the order to have taken matters in hand; and the longest wait, in turns. ms */
const TURN = 100;
const MOST_TURNS = 16;

/** Chunks taken on one's own account at a time, when it has come to that. */
const OWN_ACCOUNT = 4;

/** How long others who take the blob, but do not say what they do, are waited for when upstream is of no use. ms */
const OTHERS_PATIENCE = 5_000;

/**
 * From when on a pull stands still. One agent after the other: who comes first tells the others what it takes.
 * @param place this agent's in the order of coordinators
 */
export function standsStillAt({ gainedAt, movableAt }: Part, place: number): number {
  return Math.max(gainedAt, movableAt) + STANDSTILL + Math.min(place, MOST_TURNS) * TURN;
}

/** What to take without anybody's leave: the first chunks that nobody takes, whoever says to have them. */
export function onOwnAccount(table: Table, now: number): Segment | undefined {
  const { own, count } = table;
  const live = table.leases(now);
  const isOpen = (index: number) => !hasBit(own.have, index) && !live.some(({ leases }) => isWithin(index, leases));
  let from = 0;
  while (from < count && !isOpen(from)) from++;
  if (from === count) return undefined;
  let to = from + 1;
  while (to < Math.min(count, from + OWN_ACCOUNT) && isOpen(to)) to++;
  return [from, to];
}

/** Whether nobody has, takes or may take what is missing, with upstream of no use: then there is nothing to wait for. */
export function isHopeless(table: Table, { holders, searchUntil, gainedAt }: Part, now: number): boolean {
  if (now < searchUntil || holders.size > 0 || table.leases(now).length > 0) return false;
  const { own, rarity, count, others } = table;
  for (let index = 0; index < count; index++) {
    if (!hasBit(own.have, index) && (rarity[index] as number) > 0) return false;
  }
  return others.size === 0 || now - gainedAt >= OTHERS_PATIENCE;
}
