import { hasBit } from '../../../protocol/bitmap.ts';
import type { Spread } from './spread.ts';
import type { Table } from './table.ts';
import type { Taking } from './taking.ts';

/** Bars an agent whose lease is void, or whose chunks go no further. */
export function judge(table: Table, spread: Spread, peer: string, taking: Taking, now: number): void {
  if (taking.leases.length > 0 && table.isLate(taking, now)) table.barred.add(peer);
  // With one other who wants it, who is to say which of the two is slow?
  if (table.others.size < 2) return;
  const isBarred = table.barred.has(peer);
  if (spread.isStuck(taking, isBarred, (index) => wanting(table, index), now)) table.barred.add(peer);
}

/** With everybody barred who lacks anything nobody could take what is missing: then nobody is. */
export function unbarAll(table: Table, self: string): void {
  if (table.barred.size === 0) return;
  const mayTake = (peer: string) => !table.barred.has(peer);
  if (!(table.takesPart && mayTake(self)) && !table.isWantedBy(mayTake)) table.barred.clear();
}

/** How many others lack the chunk. */
function wanting(table: Table, index: number): number {
  let lacking = 0;
  for (const { have } of table.others.values()) if (!hasBit(have, index)) lacking++;
  return lacking;
}
