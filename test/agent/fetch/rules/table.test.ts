import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Table } from '../../../../agent/fetch/rules/table.ts';
import { UplinkRate } from '../../../../agent/fetch/rules/uplink-rate.ts';
import { bitmapOf, setBit } from '../../../../protocol/bitmap.ts';
import { MiB, said } from '../../../support/simulation/said.ts';

const COUNT = 20;

describe('Table', () => {
  it('knows who has what, until they fall silent', () => {
    const table = new Table('self', COUNT, 0);
    assert.ok(table.hear('a', said(COUNT, [0, 1]), 0));
    table.hear('b', said(COUNT, [1]), 1_000);
    assert.deepEqual([...table.rarity.subarray(0, 3)], [1, 2, 0]);
    assert.ok(table.isOffered(0) && !table.isOffered(2));
    assert.equal(table.reviewAt, 3_000);
    table.review(3_000);
    assert.deepEqual([...table.rarity.subarray(0, 3)], [0, 1, 0]);
  });

  it('is twice as patient with many, who tell half as often', () => {
    const table = new Table('self', COUNT, 0, undefined, undefined, () => true);
    table.hear('a', said(COUNT, [0]), 0);
    assert.equal(table.reviewAt, 6_000);
    table.review(5_900);
    assert.equal(table.others.size, 1);
    table.review(6_000);
    assert.equal(table.others.size, 0);
  });

  it('takes no announcement of another number of chunks', () => {
    const table = new Table('self', COUNT, 0);
    assert.ok(!table.hear('a', said(COUNT + 8, [0]), 0));
    assert.equal(table.others.size, 0);
  });

  it('counts what matched a map only where that map is used', () => {
    const table = new Table('self', COUNT, 0);
    const mapped = bitmapOf(COUNT);
    setBit(mapped, 3);
    const root = new Uint8Array(32).fill(1);
    table.hear('a', { ...said(COUNT, []), mapped: [root, mapped] }, 0);
    assert.ok(!table.isHadFor('x', 3));
    table.trust(root);
    table.hear('a', { ...said(COUNT, []), mapped: [root, mapped] }, 100);
    assert.ok(table.isHadFor('x', 3));
  });

  it('holds what this agent has and gives to nobody to be had by itself alone', () => {
    const table = new Table('self', COUNT, 0);
    table.ownChunk(3, 0);
    assert.ok(table.isHadFor('self', 3));
    assert.ok(!table.isHadFor('a', 3));
    const given = bitmapOf(COUNT);
    setBit(given, 3);
    table.ownGives(given);
    assert.ok(table.isHadFor('a', 3));
  });

  it('bars nobody when those who are not barred have it all: they take nothing from upstream', () => {
    const table = new Table('self', COUNT, 0);
    table.takesPart = true;
    table.barred.add('self');
    table.hear('a', said(COUNT, [0]), 0);
    table.review(100);
    assert.deepEqual([...table.barred], ['self']);
    table.hear('a', said(COUNT, [...Array(COUNT).keys()]), 100);
    table.review(200);
    assert.equal(table.barred.size, 0);
  });

  it('holds a lease to be void when no bytes come, or but a few', () => {
    const table = new Table('self', COUNT, 0);
    table.hear('a', said(COUNT, [], [[0, 4]], 0), 0);
    assert.equal(table.leases(5_000).length, 1);
    for (let at = 1; at <= 5; at++) table.hear('a', said(COUNT, [], [[0, 4]], at), at * 1_000);
    assert.equal(table.leases(5_001).length, 0);
    table.hear('b', said(COUNT, []), 5_001);
    table.review(5_001);
    assert.ok(table.barred.has('a'));
  });

  it('lets a lease live by its bytes, though a chunk takes long', () => {
    const table = new Table('self', COUNT, 0);
    for (let at = 0; at <= 15; at++) table.hear('a', said(COUNT, [], [[0, 4]], at * 60_000), at * 1_000);
    assert.equal(table.leases(15_000).length, 1);
  });

  it('counts a chunk’s bytes from when the one before was told of, also those told of with it', () => {
    const table = new Table('self', COUNT, 0);
    table.hear('a', said(COUNT, [], [[0, 4]], 0), 0);
    // Of three chunks, two of which are whole by now.
    table.hear('a', said(COUNT, [0, 1], [[2, 4]], 3 * MiB), 1_000);
    table.hear('a', said(COUNT, [0, 1], [[2, 4]], 3 * MiB + 100_000), 3_500);
    assert.equal(table.leases(3_500).length, 1);
  });

  it('counts no bytes for a chunk that were of one that was given up', () => {
    const table = new Table('self', COUNT, 0);
    table.times.note(1_000, 0);
    const both = [
      [0, 4],
      [8, 12],
    ] as const;
    table.hear('a', said(COUNT, [], both, 0), 0);
    table.hear('a', said(COUNT, [], both, 0.5 * MiB), 2_000);
    // Upstream broke off; it goes on with what it was granted next.
    table.hear('a', said(COUNT, [], [[8, 12]], 0.5 * MiB), 2_100);
    table.hear('a', said(COUNT, [], [[8, 12]], 1.4 * MiB), 3_500);
    assert.equal(table.leases(3_500).length, 1);
  });

  it('bars who ends leases, or leaves, and begins anew again and again without a chunk', () => {
    for (const ends of [
      (table: Table, now: number) => table.hear('a', said(COUNT, [], [], now * 40), now),
      (table: Table) => table.drop('a'),
    ]) {
      for (const brings of [false, true]) {
        const table = new Table('self', COUNT, 0);
        table.takesPart = true;
        table.hear('b', said(COUNT, []), 0);
        for (let times = 1, now = 0; times <= 6; times++, now += 1_000) {
          assert.equal(table.barred.has('a'), !brings && times > 3, `before lease ${times}`);
          table.hear('a', said(COUNT, [], [[0, 8]], now * 40), now);
          // Each third brings one.
          if (brings && times % 3 === 0) table.hear('a', said(COUNT, [times], [[1, 8]], MiB), now + 100);
          ends(table, now + 900);
        }
      }
    }
  });

  it('forgets who unsays again and again what it said to have brought, leaving in between or not', () => {
    for (const isLeaving of [false, true]) {
      const table = new Table('self', COUNT, 0);
      for (let times = 1; times <= 7; times++) {
        const now = times * 2_000;
        table.hear('a', said(COUNT, [], [[0, 4]]), now);
        table.hear('a', said(COUNT, [0], [[0, 4]]), now + 500);
        if (isLeaving) table.drop('a');
        assert.equal(table.hear('a', said(COUNT, []), now + 1_000), times < 7);
      }
      assert.ok(table.isIgnored('a'));
      assert.equal(table.others.size, 0);
    }
  });

  it('is more patient with those after a lease to which bytes came too slowly, not with it, nor with one begun with it', () => {
    const table = new Table('self', COUNT, 0);
    for (let now = 0; now <= 21_000; now += 1_000) {
      for (const [peer, at] of [
        ['a', 0],
        ['b', 4],
      ] as const)
        table.hear(peer, said(COUNT, [], [[at, at + 4]], now * 26), now);
      table.review(now);
    }
    assert.deepEqual(table.leases(21_000), []);
    assert.equal(table.times.patience, 40_000);
    // The last chunk of a blob, or its only one, is one that came.
    table.hear('c', said(COUNT, [], [[19, 20]]), 22_000);
    table.hear('c', said(COUNT, [19], [[19, 20]]), 23_000);
    assert.equal(table.times.patience, 20_000);
  });

  it('counts no leases any more of who is late, has ended, is gone, or is forgotten', () => {
    const measured = new Set<object>();
    const uplink = new UplinkRate(() => 0);
    uplink.began = (lease) => measured.add(lease);
    uplink.ended = (lease) => measured.delete(lease);
    let noted = 0;
    uplink.note = (_, bytes) => {
      noted += bytes;
    };
    const table = new Table('self', COUNT, 0, undefined, uplink);
    const counted = () => [table.leaseHolders, measured.size];
    for (const peer of ['late', 'ends', 'goes', 'forgotten']) table.hear(peer, said(COUNT, [], [[0, 4]], 0), 0);
    table.leased(table.own, [[4, 8]], 0, 0);
    assert.deepEqual(counted(), [5, 5]);
    table.hear('ends', said(COUNT, []), 100);
    table.drop('goes');
    assert.deepEqual(counted(), [3, 3]);
    table.resetOwn(200);
    assert.deepEqual(counted(), [2, 2]);
    for (const now of [2_000, 4_000, 6_000]) {
      table.hear('late', said(COUNT, [], [[0, 4]], 0), now);
      table.hear('forgotten', said(COUNT, [], [[0, 4]], now * 100), now);
      table.review(now);
    }
    assert.deepEqual(counted(), [1, 1]);
    noted = 0;
    // Fewer bytes than are worth the name.
    table.hear('late', said(COUNT, [], [[0, 4]], 1_000), 6_050);
    assert.deepEqual([...counted(), noted], [1, 1, 0]);
    table.hear('late', said(COUNT, [], [[0, 4]], 100_000), 6_100);
    assert.deepEqual(counted(), [2, 2]);
    // Late, before it has said anything more.
    table.times.note(100, 6_100);
    table.review(8_300);
    assert.deepEqual(counted(), [0, 0]);
    for (const peer of ['late', 'forgotten']) table.hear(peer, said(COUNT, [0], [[1, 4]]), 8_400);
    assert.deepEqual(counted(), [2, 2]);
    table.ignoreAll();
    assert.deepEqual(counted(), [0, 0]);
  });

  it('bars who keeps chunks to itself while younger ones of others move on, and holds them not to be had', () => {
    const table = new Table('self', COUNT, 0);
    table.takesPart = true;
    table.hear('b', said(COUNT, [], [[4, 8]]), 0);
    table.hear('c', said(COUNT, []), 0);
    table.hear('hoarder', said(COUNT, [], [[0, 4]]), 0);
    table.hear('hoarder', said(COUNT, [0, 1], [[2, 4]]), 100);
    table.hear('b', said(COUNT, [4], [[5, 8]]), 200);
    table.hear('c', said(COUNT, [4]), 300);
    table.review(900);
    assert.ok(!table.barred.has('hoarder'));
    table.review(1_200);
    assert.deepEqual([...table.barred], ['hoarder']);
    table.review(1_300);
    assert.ok(!table.isHadFor('x', 0) && table.isHadFor('x', 4));
    table.hear('c', said(COUNT, [0, 4]), 1_400);
    assert.ok(table.isHadFor('x', 0));
  });

  it('bars nobody where nothing moves on: it is the LAN that is slow', () => {
    const table = new Table('self', COUNT, 0);
    table.takesPart = true;
    for (const peer of ['a', 'b', 'c']) table.hear(peer, said(COUNT, [], [[0, 4]]), 0);
    table.hear('a', said(COUNT, [0, 1], [[2, 4]]), 100);
    table.review(1_900);
    assert.equal(table.barred.size, 0);
  });

  it('bars nobody any more once all are barred', () => {
    const table = new Table('self', COUNT, 0);
    table.hear('a', said(COUNT, []), 0);
    table.barred.add('a');
    table.review(100);
    assert.equal(table.barred.size, 0);
  });

  it('counts no lease of its own that it has left', () => {
    const table = new Table('self', COUNT, 0);
    table.leased(table.own, [[0, 4]], 0, 0);
    table.resetOwn(10);
    assert.equal(table.leaseHolders, 0);
  });

  it('counts no lease of its own that upstream brings nothing of', () => {
    const table = new Table('self', COUNT, 0);
    table.leased(table.own, [[0, 4]], 0, 0);
    table.review(4_900);
    assert.equal(table.leaseHolders, 1);
    table.review(5_100);
    assert.equal(table.leaseHolders, 0);
  });

  it('forgets who is not to be believed, for good', () => {
    const table = new Table('self', COUNT, 0);
    table.hear('a', said(COUNT, [0], [[1, 4]]), 0);
    assert.equal(table.leaseHolders, 1);
    table.ignore('a');
    assert.ok(!table.hear('a', said(COUNT, [0]), 10));
    assert.equal(table.rarity[0], 0);
    assert.equal(table.leaseHolders, 0);
  });
});
