import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LeaseCount } from '../../../../agent/fetch/rules/lease-count.ts';
import { Table } from '../../../../agent/fetch/rules/table.ts';
import { newTaking, type Taking } from '../../../../agent/fetch/rules/taking.ts';

const COUNT = 1_000;

/** How long a chunk takes with so many connections. ms */
type Line = (leases: number) => number;

/** How many leases there were from second to second, where each that is allowed is made use of. */
function leasesOn(line: Line, seconds = 30): number[] {
  const table = new Table('self', COUNT, 0);
  const count = new LeaseCount(table);
  const takings: Taking[] = [];
  const counted: number[] = [];
  for (let now = 0; counted.length < seconds; ) {
    const allowed = count.allowed(takings.length, now);
    if (now >= counted.length * 1_000) counted.push(allowed);
    for (const taking of takings.splice(allowed)) table.leased(taking, [], 2, now);
    while (takings.length < allowed) {
      const taking = newTaking(COUNT, now);
      table.leased(taking, [[0, COUNT]], 1, now);
      takings.push(taking);
    }
    const [since, leaseTime] = [now, table.uplink.leaseTime(now)];
    now += line(allowed);
    for (let each = 0; each < allowed; each++) {
      table.times.note(now - since, now);
      table.uplink.note(since, leaseTime, now);
    }
  }
  return counted;
}

describe('LeaseCount', () => {
  it('allows more while each still brings as much: upstream caps connections', () => {
    assert.equal(leasesOn(() => 300)[9], 8);
  });

  it('tries a third now and then, and goes back to two, where it brings nothing: the uplink is full', () => {
    const counted = leasesOn((leases) => 80 * leases);
    assert.ok(counted.every((leases) => leases <= 3));
    assert.ok(counted.includes(3));
    assert.ok(counted.filter((leases) => leases === 2).length > 20);
  });

  it('tries no third on a thin uplink', () => {
    assert.ok(leasesOn((leases) => 1_100 * leases, 60).every((leases) => leases === 2));
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
