import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChunkTimes } from '../../../../agent/fetch/rules/chunk-times.ts';

describe('ChunkTimes', () => {
  it('is patient before it has seen a chunk, and more so with many leases', () => {
    assert.equal(new ChunkTimes().patience, 20_000);
    assert.equal(new ChunkTimes(() => 10).patience, 40_000);
    // Who makes leases up makes nobody patient for ever.
    assert.equal(new ChunkTimes(() => 400).patience, 48_000);
  });

  it('gives four times the usual, and never less than two seconds', () => {
    const times = new ChunkTimes();
    times.note(100, 100);
    assert.equal(times.patience, 2_000);
    for (let time = 1; time <= 3; time++) times.note(3_000, 100 + time * 3_000);
    assert.equal(times.patience, 12_000);
  });

  it('gives each lease its share of what all of them bring', () => {
    let leases = 6;
    const times = new ChunkTimes(() => leases);
    // One connection is quicker than the others, as one always is: the six of them bring a chunk a second.
    for (const [ms, now] of [
      [1_100, 1_100],
      [2_000, 2_000],
      [1_900, 3_000],
    ] as const)
      times.note(ms, now);
    assert.equal(times.usual, 6_000);
    leases = 12;
    assert.equal(times.usual, 12_000);
  });

  it('does not expect fewer to be faster: each connection may be capped', () => {
    let leases = 6;
    const times = new ChunkTimes(() => leases);
    times.note(6_000, 6_000);
    leases = 1;
    assert.equal(times.usual, 6_000);
  });

  it('forgets what was seen before the line became slow', () => {
    const times = new ChunkTimes(() => 2);
    for (let now = 10; now <= 100; now += 10) times.note(10, now);
    times.note(1_000, 1_100);
    assert.equal(times.usual, 2_000);
  });

  it('is more patient with what comes steadily, the more so where nobody’s chunks come any more; within bounds', () => {
    const times = new ChunkTimes(() => 2);
    times.note(10, 10);
    assert.equal(times.steadyPatienceFor(0, 10), 8_000);
    assert.equal(times.steadyPatienceFor(0, 2_010), 16_000);
    assert.equal(times.steadyPatienceFor(0, 100_000), 40_000);
    times.note(30_000, 40_010);
    assert.equal(times.steadyPatienceFor(0, 40_010), times.patience);
  });

  it('is twice as patient each time that a lease was overdue, up to eight times, until a chunk of whatever size comes', () => {
    const times = new ChunkTimes();
    const patience: number[] = [];
    for (const now of [20_000, 60_000, 140_000, 500_000]) {
      times.overdue(now);
      // One that was begun with it.
      times.overdue(now + 19_999);
      patience.push(times.patience);
    }
    assert.deepEqual(patience, [40_000, 80_000, 160_000, 160_000]);
    assert.equal(times.steadyPatienceFor(500_000, 500_000), 320_000);
    times.note(50_000, 550_000);
    assert.equal(times.patience, 200_000);
    times.overdue(750_000);
    assert.equal(times.patience, 400_000);
    times.came();
    assert.equal(times.patience, 200_000);
  });

  it('is no more patient with what was begun before a lease was overdue', () => {
    const times = new ChunkTimes();
    times.overdue(20_000);
    times.overdue(60_000);
    assert.deepEqual(
      [0, 19_999, 20_000, 60_000].map((at) => times.patienceFor(at)),
      [20_000, 20_000, 40_000, 80_000],
    );
    assert.deepEqual(
      [0, 20_000].map((at) => times.steadyPatienceFor(at, 60_000)),
      [40_000, 80_000],
    );
  });
});
