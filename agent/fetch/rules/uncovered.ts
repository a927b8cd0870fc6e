import { hasBit } from '../../../protocol/bitmap.ts';
import type { Lease } from './lease.ts';
import type { Part } from './part.ts';
import type { Table } from './table.ts';
import { isWithin } from './taking.ts';

/** Whether a chunk is missing that nobody offers, and that nobody takes from upstream, this agent's own lease included. */
export function isUncovered(table: Table, lease: Lease, now: number): boolean {
  const { own, count } = table;
  const live = table.leases(now);
  for (let index = 0; index < count; index++) {
    if (hasBit(own.have, index) || table.isOffered(index) || lease.covers(index)) continue;
    if (!live.some(({ leases }) => isWithin(index, leases))) return true;
  }
  return false;
}

/** Whether a live lease of somebody higher in `order` than `place` covers the chunk. */
export function isTakenHigher(
  table: Table,
  index: number,
  order: () => readonly string[],
  place: () => number,
  now: number,
): boolean {
  const rivals = table.leases(now).filter(({ leases }) => isWithin(index, leases));
  if (rivals.length === 0) return false;
  const [peers, own] = [order(), place()];
  return rivals.some(({ peer }) => peers.indexOf(peer) < own);
}

/**
 * Whether who takes all of it alone has found somebody since that holds it. With others a lease is short, and they wait for
 * what it brings.
 */
export function isLeftToHolders(table: Table, { holders, isForsaken }: Part): boolean {
  return holders.size > 0 && !isForsaken && table.others.size === 0;
}
