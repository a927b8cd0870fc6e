import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LeaseCount } from '../../../../agent/fetch/rules/lease-count.ts';
import { Table } from '../../../../agent/fetch/rules/table.ts';

/** Bytes a ms that upstream gives with so many connections. */
type Line = (leases: number) => number;

/** How many leases there are after so long, where each that is allowed is made use of. */
function after(ms: number, line: Line): number {
  const table = new Table('self', 100, 0);
  table.times.note(300, 0);
  const count = new LeaseCount(table);
  let leases = 2;
  for (let now = 0; now <= ms; now += 500) {
    leases = count.allowed(leases, now);
    table.leased(table.own, [[0, 4]], table.own.received + 500 * line(leases), now);
  }
  return leases;
}

describe('LeaseCount', () => {
  it('allows more while each still brings as much: upstream caps connections', () => {
    assert.equal(
      after(10_000, (leases) => leases * 2_500),
      4,
    );
  });

  it('goes back to two where a third brings nothing: the uplink is full', () => {
    const seen = new Set<number>();
    for (let ms = 5_000; ms < 9_000; ms += 500) seen.add(after(ms, () => 12_500));
    assert.ok(seen.has(2) && !seen.has(4));
  });

  it('doubles with each lease that brings nothing, until something comes', () => {
    const table = new Table('self', 100, 0);
    const count = new LeaseCount(table);
    for (const allowed of [4, 8, 16]) {
      table.leased(table.own, [[0, 4]], 0, 0);
      table.leased(table.own, [], 0, 0);
      assert.equal(count.allowed(0, 0), allowed);
    }
    table.leased(table.own, [[0, 4]], 1, 0);
    assert.equal(count.allowed(1, 0), 2);
  });
});
