import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Claimant } from '../../../../agent/fetch/rules/claimant.ts';

const ORDER = ['first', 'second', 'self'];

describe('Claimant', () => {
  it('asks the first, and the next when that does not answer in time', () => {
    const claimant = new Claimant(() => 250);
    assert.equal(claimant.next(ORDER, 0), 'first');
    claimant.asked('first', 0);
    assert.equal(claimant.next(ORDER, 249), undefined);
    assert.equal(claimant.dueAt, 250);
    assert.equal(claimant.next(ORDER, 250), 'second');
    assert.equal(claimant.next(ORDER, 3_250), 'first');
  });

  it('asks the next after two refusals that name nobody who fetches', () => {
    const claimant = new Claimant(() => 250);
    for (const now of [0, 100]) {
      assert.equal(claimant.next(ORDER, now), 'first');
      claimant.asked('first', now);
      claimant.refused('first', false, now);
    }
    assert.equal(claimant.next(ORDER, 120), undefined);
    assert.equal(claimant.next(ORDER, 200), 'second');
  });

  it('stays with who names somebody that fetches, and asks once a second', () => {
    const claimant = new Claimant(() => 250);
    for (const now of [0, 1_000, 2_000]) {
      assert.equal(claimant.next(ORDER, now), 'first');
      claimant.asked('first', now);
      claimant.refused('first', true, now);
      assert.equal(claimant.next(ORDER, now + 999), undefined);
    }
  });

  it('begins again where everybody has refused', () => {
    const claimant = new Claimant(() => 250);
    let now = 0;
    const asked: string[] = [];
    for (let time = 0; time < 7; time++, now += 100) {
      const peer = claimant.next(ORDER, now) as string;
      asked.push(peer);
      claimant.asked(peer, now);
      claimant.refused(peer, false, now);
    }
    assert.deepEqual(asked, ['first', 'first', 'second', 'second', 'self', 'self', 'first']);
  });

  it('waits longer after each lease that brings nothing', () => {
    const claimant = new Claimant(() => 250);
    claimant.ended(false, 0);
    assert.equal(claimant.next(ORDER, 99), undefined);
    assert.equal(claimant.next(ORDER, 100), 'first');
    claimant.ended(false, 100);
    assert.equal(claimant.next(ORDER, 299), undefined);
    claimant.ended(true, 300);
    assert.equal(claimant.next(ORDER, 300), 'first');
  });

  it('asks at once when its lease runs out, whatever it was refused before', () => {
    const claimant = new Claimant(() => 250);
    claimant.asked('first', 0);
    claimant.refused('first', true, 0);
    claimant.granted();
    assert.equal(claimant.next(ORDER, 1), 'first');
  });
});
