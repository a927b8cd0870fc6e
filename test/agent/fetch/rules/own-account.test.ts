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
    // Bytes that come keep a lease live.
    received += 64 * 1024;
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
});
