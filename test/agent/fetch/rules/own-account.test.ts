import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OwnAccount } from '../../../../agent/fetch/rules/own-account.ts';
import { newPart } from '../../../../agent/fetch/rules/part.ts';
import { Table } from '../../../../agent/fetch/rules/table.ts';
import type { Segment } from '../../../../agent/fetch/rules/taking.ts';
import { bitmapOf } from '../../../../protocol/bitmap.ts';
import { said } from '../../../support/simulation/said.ts';

const COUNT = 10;

/** An agent at `place` in the order, whose pull began at 0 and has brought nothing since; others take part in it. */
function waiting(place: number) {
  const table = new Table('self', COUNT, 0);
  const none = bitmapOf(COUNT);
  const part = newPart({ have: none, marked: bitmapOf(COUNT), first: 0, searchUntil: 0 }, COUNT, 0);
  const account = new OwnAccount(table, part, () => place);
  let received = 0;
  const hears = (leases: readonly Segment[], now: number, have: readonly number[] = []) => {
    // Bytes that come keep a lease live, as long as they are no more than a chunk's.
    received += 22 * 1024;
    table.hear('b', said(COUNT, have, leases, received), now);
  };
  return { table, part, account, hears };
}

describe('OwnAccount', () => {
  it('waits for a stall time-out, and a turn for each before it in the order', () => {
    const { part, account, hears } = waiting(3);
    part.movableAt = 0;
    hears([], 5_000);
    assert.equal(account.next(5_299), undefined);
    assert.ok(account.dueAt.includes(5_300));
    assert.deepEqual(account.next(5_300), [0, 4]);
  });

  it('counts sixteen before it at most, and from the last chunk that came', () => {
    const { part, account } = waiting(40);
    Object.assign(part, { movableAt: 0, gainedAt: 1_000 });
    assert.equal(account.next(7_599), undefined);
    assert.deepEqual(account.next(7_600), [0, 4]);
  });

  it('takes what nobody takes, whoever says to have it', () => {
    const { part, account, hears } = waiting(0);
    part.movableAt = 0;
    hears([[0, 3]], 5_000, [5]);
    assert.deepEqual(account.next(5_000), [3, 7]);
  });

  it('waits for its turn again where a lease of all that is missing ends: all see that at one moment', () => {
    const { part, account, hears } = waiting(3);
    part.movableAt = 0;
    hears([[0, COUNT]], 6_000);
    assert.equal(account.next(6_000), undefined);
    hears([], 6_400);
    assert.equal(account.next(6_400), undefined);
    assert.ok(account.dueAt.includes(6_700));
    assert.equal(account.next(6_699), undefined);
    assert.deepEqual(account.next(6_700), [0, 4]);
  });

  it('waits for nobody where nobody else takes the blob', () => {
    const { part, account } = waiting(3);
    part.isForsaken = true;
    assert.deepEqual(account.next(100), [0, 4]);
  });

  it('asks upstream less and less often where it brings nothing', () => {
    const { part, account } = waiting(0);
    part.isForsaken = true;
    let now = 0;
    const pauses: number[] = [];
    for (let times = 0; times < 7; times++) {
      assert.deepEqual(account.next(now), [0, 4]);
      account.ended(false, now);
      assert.equal(account.next(now), undefined);
      const due = Math.min(...account.dueAt.filter((at) => at > now));
      pauses.push(due - now);
      now = due;
    }
    assert.deepEqual(pauses, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
    account.ended(true, now);
    assert.deepEqual(account.next(now), [0, 4]);
    account.ended(false, now);
    assert.deepEqual(account.next(now + 100), [0, 4]);
  });

  it('waits for a lease under which no chunk comes for 45 s, and a second for each before it; then begins with the last', () => {
    const { part, account, hears } = waiting(2);
    for (let now = 0; now <= 47_000; now += 500) {
      assert.equal(account.next(now - 1), undefined);
      assert.ok(!account.isTooLong(now - 1));
      // As by one that unsays what it said to have brought, so that none is late and none in vain.
      if (now % 5_000 === 0) hears([], now);
      else hears([[0, COUNT]], now, now % 5_000 === 4_500 ? [9] : []);
    }
    assert.ok(account.dueAt.includes(47_000));
    // The third in the order takes the third of the last.
    assert.deepEqual(account.next(47_000), [7, 8]);
    assert.ok(part.takesRegardless);
  });

  it('waits longer where chunks are slow, but no more than two minutes', () => {
    const { table, account } = waiting(0);
    table.times.note(8_000, 8_000);
    // Four times that is what a chunk may take.
    assert.ok(account.dueAt.includes(64_000));
    for (let times = 0; times < 9; times++) table.times.note(30_000, 0);
    assert.ok(account.dueAt.includes(120_000));
  });

  it('waits half as long each further time: a liar may give a chunk now and then', () => {
    const { part, account } = waiting(0);
    const waits: number[] = [];
    for (let times = 0; times < 3; times++) {
      const due = Math.max(...account.dueAt.filter((at) => at < Number.POSITIVE_INFINITY));
      assert.ok(account.next(due) !== undefined);
      waits.push(due - part.gainedAt);
      Object.assign(part, { gainedAt: due, takesRegardless: false });
    }
    assert.deepEqual(waits, [45_000, 22_500, 11_250]);
  });

  it('takes before that what nobody takes, and nothing where all is there', () => {
    const { table, account, part, hears } = waiting(1);
    part.takesRegardless = true;
    hears([[0, 9]], 100);
    assert.deepEqual(account.next(200), undefined);
    assert.deepEqual(account.next(300), [9, 10]);
    for (const index of [9, 7]) table.ownChunk(index, 300);
    assert.deepEqual(account.next(300), [6, 7]);
    for (let index = 0; index < COUNT; index++) table.ownChunk(index, 300);
    assert.equal(account.next(300), undefined);
  });
});
