import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lease } from '../../../../agent/fetch/rules/lease.ts';

describe('Lease', () => {
  it('moves on with the chunks that are there, not with those behind it', () => {
    const lease = new Lease();
    lease.add([0, 4]);
    const there = new Set([0, 5]);
    lease.advance((index) => there.has(index));
    assert.deepEqual(lease.segments, [[1, 4]]);
    assert.ok(lease.covers(1) && !lease.covers(0) && !lease.covers(4));
  });

  it('runs out at its last chunk, and no more once something follows', () => {
    const lease = new Lease();
    assert.ok(lease.add([0, 2]));
    assert.ok(!lease.isRunningOut);
    lease.advance((index) => index === 0);
    assert.ok(lease.isRunningOut);
    assert.ok(!lease.add([8, 10]));
    assert.ok(!lease.isRunningOut);
    assert.deepEqual(lease.segments, [
      [1, 2],
      [8, 10],
    ]);
    assert.deepEqual(lease.end(), [8, 10]);
    assert.equal(lease.end(), undefined);
    assert.ok(!lease.isHeld);
  });

  it('tells only the near part of an open-ended one, and ends there once others come', () => {
    const lease = new Lease();
    lease.add([0, 100]);
    assert.deepEqual(lease.segments, [[0, 16]]);
    assert.ok(!lease.isBehind(99));
    lease.close();
    assert.ok(lease.isBehind(16) && !lease.isBehind(15));
    lease.close();
    assert.deepEqual(lease.segments, [[0, 16]]);
  });

  it('goes on to the end where upstream gives no parts, whoever comes', () => {
    for (const to of [8, 50]) {
      const lease = new Lease();
      lease.add([4, to]);
      lease.extend(100);
      lease.close();
      assert.deepEqual(lease.segments, [[4, 100]]);
    }
  });
});
