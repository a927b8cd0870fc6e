import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Busy } from '../../../../agent/fetch/rules/busy.ts';

describe('Busy', () => {
  it('leaves the chunk alone for a moment, and its peer no longer than that', () => {
    const busy = new Busy();
    busy.said('a', 5, 0, 100);
    assert.deepEqual(
      [busy.mayAsk('a', 5, 129), busy.mayAsk('a', 6, 129), busy.mayAsk('b', 5, 129)],
      [false, true, true],
    );
    assert.equal(busy.dueAt(100), 130);
    assert.ok(busy.mayAsk('a', 5, 130));
    assert.equal(busy.dueAt(130), Number.POSITIVE_INFINITY);
  });

  it('leaves the peer alone that says nothing else, the longer the more often, and no longer than half a second', () => {
    const busy = new Busy();
    const pauses: number[] = [];
    for (let index = 0; index < 12; index++) {
      busy.said('a', index, 0, 0);
      let at = 0;
      while (!busy.mayAsk('a', 99, at)) at += 10;
      pauses.push(at);
    }
    assert.deepEqual(pauses, [0, 0, 0, 0, 60, 120, 240, 480, 500, 500, 500, 500]);
    busy.gave('a');
    assert.ok(busy.mayAsk('a', 99, 0));
  });

  it('counts no more than four of what was refused at once', () => {
    const busy = new Busy();
    for (let left = 7; left >= 0; left--) busy.said('a', left, left, 0);
    assert.ok(busy.mayAsk('a', 99, 1));
    busy.said('a', 8, 0, 1);
    assert.ok(!busy.mayAsk('a', 99, 60));
  });

  it('takes who was busy for one that serves others, for ten seconds', () => {
    const busy = new Busy();
    assert.ok(!busy.isShared(0));
    busy.said('a', 0, 0, 50);
    assert.deepEqual([busy.isShared(10_049), busy.isShared(10_050)], [true, false]);
  });
});
