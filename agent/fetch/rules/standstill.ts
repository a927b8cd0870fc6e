import { hasBit } from '../../../protocol/bitmap.ts';
import type { Part } from './part.ts';
import type { Table } from './table.ts';

/** How long a pull may stand still, with nobody who could move it, before it takes matters in its own hands. ms */
export const STANDSTILL = 5_000;

/** How long others who take the blob, but do not say what they do, are waited for when upstream is of no use. ms */
const OTHERS_PATIENCE = 5_000;

/** Whether nobody has, takes or may take what is missing, with upstream of no use: then there is nothing to wait for. */
export function isHopeless(table: Table, { holders, searchUntil, gainedAt }: Part, now: number): boolean {
  if (now < searchUntil || holders.size > 0 || table.leases(now).length > 0) return false;
  const { own, rarity, count, others } = table;
  for (let index = 0; index < count; index++) {
    if (!hasBit(own.have, index) && (rarity[index] as number) > 0) return false;
  }
  return others.size === 0 || now - gainedAt >= OTHERS_PATIENCE;
}
