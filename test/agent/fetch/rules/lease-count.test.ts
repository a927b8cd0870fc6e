import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChunkTimes } from '../../../../agent/fetch/rules/chunk-times.ts';
import { LeaseCount } from '../../../../agent/fetch/rules/lease-count.ts';
import { Table } from '../../../../agent/fetch/rules/table.ts';
import { beginChunk, newTaking, type Taking } from '../../../../agent/fetch/rules/taking.ts';
import { UplinkRate } from '../../../../agent/fetch/rules/uplink-rate.ts';
import { said } from '../../../support/simulation/said.ts';

const COUNT = 1_000;

/** Bytes a ms that an uplink carries, and chunks. */
const UPLINK = 12_500;
const CHUNK = 1024 * 1024;

/** From one look to the next. ms */
const STEP = 50;

/** What each of so many leases is given of it. Bytes a ms */
type Line = (leases: number, now: number) => readonly number[];

const fair =
  (uplink = UPLINK, cap = uplink): Line =>
  (leases) =>
    Array.from({ length: leases }, () => Math.min(cap, uplink / leases));

/** What three or more have is for the first two for the most part. */
const unfair: Line = (leases) =>
  Array.from(
    { length: leases },
    (_, index) => (leases < 3 ? 1 / leases : index < 2 ? 0.45 : 0.1 / (leases - 2)) * UPLINK,
  );

interface Course {
  readonly seconds?: number;
  /** What leases on another blob bring. Bytes a ms */
  readonly slow?: readonly number[];
}

/** How many leases there were from second to second, where each that is allowed is made use of. */
function leasesOn(line: Line, { seconds = 30, slow = [] }: Course = {}): number[] {
  let leaseHolders = (): number => 0;
  const times = new ChunkTimes(() => leaseHolders());
  const uplink = new UplinkRate(() => leaseHolders());
  const table = new Table('self', COUNT, 0, times, uplink);
  const elsewhere = new Table('self', COUNT, 0, times, uplink);
  leaseHolders = () => table.leaseHolders + elsewhere.leaseHolders;
  const count = new LeaseCount(table);
  const takings: Taking[] = [];
  const others = slow.map(() => newTaking(COUNT, 0));
  for (const taking of others) elsewhere.leased(taking, [[0, COUNT]], 0, 0);
  const counted: number[] = [];
  const bring = (on: Table, taking: Taking, given: number, now: number): void => {
    const before = Math.floor(taking.received / CHUNK);
    on.leased(taking, taking.leases, taking.received + Math.floor(given * STEP), now);
    if (Math.floor(taking.received / CHUNK) === before) return;
    times.note(CHUNK / given, now);
    beginChunk(taking, now);
  };
  for (let now = 0; counted.length < seconds; now += STEP) {
    const allowed = count.allowed(takings.length, now);
    if (now >= counted.length * 1_000) counted.push(allowed);
    for (const taking of takings.splice(allowed)) table.leased(taking, [], taking.received, now);
    while (takings.length < allowed) {
      const taking = newTaking(COUNT, now);
      table.leased(taking, [[0, COUNT]], 1, now);
      takings.push(taking);
    }
    for (const [index, given] of line(takings.length, now).entries()) {
      bring(table, takings[index] as Taking, given, now + STEP);
    }
    for (const [index, given] of slow.entries()) bring(elsewhere, others[index] as Taking, given, now + STEP);
  }
  return counted;
}

describe('LeaseCount', () => {
  it('allows more while each still brings as much: upstream caps connections', () => {
    assert.equal(leasesOn(fair(UPLINK, 1_400))[9], 8);
  });

  it('tries a third now and then, and goes back to two, where it brings nothing: the uplink is full', () => {
    const counted = leasesOn(fair());
    assert.ok(counted.every((leases) => leases <= 3));
    assert.ok(counted.includes(3));
    assert.ok(counted.filter((leases) => leases === 2).length > 20);
  });

  it('tries more no sooner than after three seconds where leases are not given the same, and goes back to two', () => {
    const uneven: Line = (leases) => fair()(leases, 0).map((given, index) => (index === 0 ? 0.6 * given : given));
    const counted = leasesOn(uneven);
    assert.deepEqual(counted.slice(1, 4), [2, 2, 2]);
    assert.ok(counted.every((leases) => leases <= 3));
    assert.ok(counted.filter((leases) => leases === 2).length > 20);
  });

  it('fills a capped uplink although others take from a slow registry', () => {
    const slow = [300, 400];
    const counted = leasesOn(fair(UPLINK, 2_500), { slow });
    assert.ok(counted.slice(15).every((leases) => leases >= 4));
    // What they cost: a lease is one of many for a while.
    assert.equal(counted[2], 1);
  });

  it('counts those of other blobs: what is allowed is for all together', () => {
    // Five fill what is left for this one.
    const counted = leasesOn(fair(UPLINK, 2_500), { slow: [2_500, 2_500, 2_500] });
    assert.ok(counted.slice(24).every((leases) => leases === 5));
  });

  it('goes back from more to two where those that came starve', () => {
    const counted = leasesOn(unfair);
    assert.ok(counted.every((leases) => leases <= 3));
    assert.ok(counted.filter((leases) => leases === 2).length > 20);
  });

  it('allows as many as fill an uplink that is capped, and goes on with them', () => {
    const counted = leasesOn(fair(UPLINK, 2_500));
    assert.ok(counted.slice(8).filter((leases) => leases >= 5).length > 15);
    assert.ok(counted.slice(8).every((leases) => leases >= 4));
  });

  it('does not go back to few for what connections brought in their first seconds', () => {
    // What upstream had sent before it was held back.
    for (const [first, cap, until] of [
      [4_000, 2_500, 3_000],
      [3_500, 2_600, 5_000],
    ] as const) {
      const counted = leasesOn((leases, now) => fair(UPLINK, now < until ? first : cap)(leases, now));
      assert.ok(
        counted.slice(5).every((leases) => leases >= 4),
        counted.join(' '),
      );
    }
  });

  it('tries no third on a thin uplink', () => {
    assert.ok(
      leasesOn(fair(900), { seconds: 60 })
        .slice(1)
        .every((leases) => leases === 2),
    );
  });

  it('allows one at first, until a chunk has come from upstream, or for half a second', () => {
    const times = new ChunkTimes();
    const allowed = () => new LeaseCount(new Table('self', COUNT, 0, times));
    const silent = allowed();
    assert.deepEqual(
      [0, 499, 500].map((now) => silent.allowed(1, now)),
      [1, 1, 2],
    );
    const brought = allowed();
    assert.equal(brought.allowed(1, 0), 1);
    times.note(100, 100);
    assert.equal(brought.allowed(1, 100), 2);
    // Another blob's chunk has come just before.
    assert.equal(allowed().allowed(1, 600), 2);
    assert.equal(allowed().allowed(1, 601), 1);
  });

  it('allows one where other blobs keep the uplink busy, and two where chunks are so quick that it is not', () => {
    // One comes after the other: each of three takes three times as long.
    for (const [chunk, allowed] of [
      [100, 1],
      [60, 2],
    ] as const) {
      const times = new ChunkTimes(() => 3);
      const count = new LeaseCount(new Table('self', COUNT, 0, times));
      assert.equal(count.allowed(1, 0), 1, 'nobody knows yet');
      times.note(chunk, 1_000);
      assert.equal(count.allowed(1, 1_000), allowed, `${chunk} ms`);
    }
  });

  it('allows a second beside one that brings nothing', () => {
    const table = new Table('self', COUNT, 0, new ChunkTimes(() => 3));
    const count = new LeaseCount(table);
    table.leased(table.own, [[0, 4]], 0, 0);
    assert.equal(count.allowed(1, 0), 1);
    assert.equal(count.allowed(1, 2_900), 1);
    assert.equal(count.allowed(1, 3_100), 2);
    table.leased(table.own, [[0, 4]], 64 * 1024, 3_200);
    assert.equal(count.allowed(1, 3_300), 1);
  });

  it('allows one beside each that brings nothing, and on a thin uplink waits longer for it', () => {
    const times = new ChunkTimes(() => 7);
    const table = new Table('self', COUNT, 0, times);
    const count = new LeaseCount(table);
    // One comes each 2.1 s: each of seven takes 14.7.
    times.note(2_100, 0);
    table.leased(table.own, [[0, 4]], 0, 0);
    for (const now of [0, 3_600]) assert.equal(count.allowed(1, now), 1);
    assert.equal(count.allowed(1, 3_800), 2);
    table.leased(table.own, [[0, 4]], 64 * 1024, 3_800);
    for (const peer of ['a', 'b']) table.hear(peer, said(COUNT, [], [[8, 12]], 0), 3_800);
    assert.equal(count.allowed(3, 7_400), 1);
    table.leased(table.own, [[0, 4]], 128 * 1024, 7_400);
    assert.equal(count.allowed(3, 7_600), 3);
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
    assert.equal(count.allowed(1, 500), 2);
  });
});
