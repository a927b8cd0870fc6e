import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Requests, type Wanting } from '../../../../agent/fetch/rules/requests.ts';
import { Table } from '../../../../agent/fetch/rules/table.ts';
import { said } from '../../../support/simulation/said.ts';

const COUNT = 40;
const WANTING: Wanting = {
  holders: new Set(),
  lanes: 16,
  first: 0,
  streams: false,
  isLeased: () => false,
  isArriving: () => false,
};
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

describe('Requests', () => {
  it('asks each chunk of one who has it, two of a peer, four of two, eight of one, and no more than there are lanes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(fc.nat(COUNT - 1)), { minLength: 1, maxLength: 12 }),
        fc.nat(20),
        (all, lanes) => {
          const table = new Table('self', COUNT, 0);
          for (const [at, have] of all.entries()) table.hear(`peer-${at}`, said(COUNT, have), 0);
          const asked = new Requests(table, 7).next({ ...WANTING, lanes }, 0);
          assert.ok(asked.length <= lanes);
          assert.equal(new Set(asked.map(({ index }) => index)).size, asked.length);
          for (const { peer, index } of asked) assert.ok(all[Number(peer.slice(5))]?.includes(index));
          for (const at of all.keys()) {
            assert.ok(asked.filter(({ peer }) => peer === `peer-${at}`).length <= ([8, 4][all.length - 1] ?? 2));
          }
        },
      ),
    );
  });

  it('asks a lone holder that was busy for four at a time, and does not leave it alone for a window refused', () => {
    const holders = new Set(['a']);
    const requests = new Requests(new Table('self', COUNT, 0), 7);
    const next = (now: number) => requests.next({ ...WANTING, holders }, now).map(({ index }) => index);
    assert.deepEqual(next(0), range(0, 8));
    for (const index of range(0, 8)) requests.ended('a', index, 'busy', 1);
    assert.deepEqual(next(2), range(8, 12));
    requests.ended('a', 8, 'done', 3);
    assert.deepEqual(next(4), [8]);
    for (const index of range(8, 12)) requests.ended('a', index, 'done', 5);
    assert.equal(next(9_900).length, 4);
    assert.equal(next(10_002).length, 4, 'eight in all');
  });

  it('leaves a peer alone that refuses four and more after that', () => {
    const holders = new Set(['a']);
    const requests = new Requests(new Table('self', COUNT, 0), 7);
    for (const [now, count] of [
      [0, 8],
      [2, 4],
    ] as const) {
      const asked = requests.next({ ...WANTING, holders }, now);
      assert.equal(asked.length, count);
      for (const { index } of asked) requests.ended('a', index, 'busy', now + 1);
    }
    assert.deepEqual(requests.next({ ...WANTING, holders }, 4), []);
  });

  it('takes the rarest first', () => {
    const table = new Table('self', COUNT, 0);
    for (const peer of ['a', 'b', 'c']) table.hear(peer, said(COUNT, [1, 2, 3, 4, 5]), 0);
    table.hear('d', said(COUNT, [9]), 0);
    assert.deepEqual(new Requests(table, 7).next({ ...WANTING, lanes: 1 }, 0), [{ peer: 'd', index: 9, since: 0 }]);
  });

  it('counts what was asked for before, and does not ask for it again', () => {
    const holders = new Set(['a']);
    const requests = new Requests(new Table('self', COUNT, 0), 7);
    requests.began({ peer: 'a', index: 0 }, 0);
    const asked = requests.next({ ...WANTING, holders, lanes: 3 }, 0);
    assert.deepEqual(
      asked.map(({ index }) => index),
      [1, 2],
    );
    assert.deepEqual(requests.peersAskedFor(0), ['a']);
    requests.ended('a', 0, 'busy', 0);
    assert.deepEqual(requests.next({ ...WANTING, holders, lanes: 3 }, 100)[0]?.index, 0);
  });

  it('takes them in order of those who have it all, where nobody else takes the blob', () => {
    const table = new Table('self', COUNT, 0);
    const asked = new Requests(table, 7).next(
      { ...WANTING, holders: new Set(['a', 'b', 'c']), lanes: 4, first: 30 },
      0,
    );
    assert.deepEqual(
      asked.map(({ index }) => index),
      [30, 31, 32, 33],
    );
  });

  it('leaves a busy chunk alone for a moment, and says when to look again', () => {
    const table = new Table('self', COUNT, 0);
    table.hear('a', said(COUNT, [5]), 0);
    const requests = new Requests(table, 7);
    assert.equal(requests.next(WANTING, 0).length, 1);
    requests.ended('a', 5, 'busy', 10);
    assert.deepEqual(requests.next(WANTING, 11), []);
    assert.ok(requests.isOffered);
    assert.equal(requests.dueAt(11), 40);
    assert.equal(requests.next(WANTING, 40).length, 1);
  });

  it('asks a slow peer only for what nobody else has, one chunk at a time', () => {
    const table = new Table('self', COUNT, 0);
    for (const peer of ['a', 'b', 'slow']) table.hear(peer, said(COUNT, range(0, 20)), 0);
    const requests = new Requests(table, 7);
    for (const { peer, index } of requests.next({ ...WANTING, lanes: 6 }, 0)) {
      requests.ended(peer, index, 'done', peer === 'slow' ? 4_000 : 20);
    }
    const next = requests.next(WANTING, 4_000);
    assert.ok(next.length > 0 && next.every(({ peer }) => peer !== 'slow'));
    table.hear('slow', said(COUNT, range(0, 30)), 4_000);
    const rare = requests.next(WANTING, 4_000).filter(({ peer }) => peer === 'slow');
    assert.equal(rare.length, 1);
    assert.ok((rare[0]?.index as number) >= 20);
  });

  it('asks somebody else too for what has not come for two seconds, whether anything has come before or not', () => {
    for (const hadBefore of [true, false]) {
      const table = new Table('self', COUNT, 0);
      table.hear('mute', said(COUNT, hadBefore ? [1, 2] : [1]), 0);
      const requests = new Requests(table, 7);
      const asked = requests.next(WANTING, 0);
      if (hadBefore) requests.ended('mute', 2, 'done', 50);
      assert.ok(asked.some(({ index }) => index === 1));
      table.hear('quick', said(COUNT, [1]), 100);
      assert.deepEqual(requests.next(WANTING, 1_900), []);
      assert.equal(requests.dueAt(1_900), 2_000);
      assert.deepEqual(
        requests.next(WANTING, 2_000).map(({ peer, index }) => [peer, index]),
        [['quick', 1]],
      );
      assert.deepEqual(requests.next(WANTING, 3_000), []);
    }
  });

  it('asks for less where its own line is slow', () => {
    const table = new Table('self', COUNT, 0);
    for (let at = 0; at < 10; at++) table.hear(`peer-${at}`, said(COUNT, range(0, COUNT)), 0);
    const requests = new Requests(table, 7);
    const asked = requests.next(WANTING, 0);
    assert.equal(asked.length, 16);
    for (const { peer, index } of asked) requests.ended(peer, index, 'done', 4_000);
    assert.equal(requests.next(WANTING, 4_000).length, 2);
  });
});
