import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChunkTimes } from '../../../../agent/fetch/rules/chunk-times.ts';

describe('ChunkTimes', () => {
  it('is patient before it has seen a chunk, and more so with many leases', () => {
    assert.equal(new ChunkTimes().patience, 20_000);
    assert.equal(new ChunkTimes(() => 10).patience, 40_000);
  });

  it('gives four times the usual, and never less than two seconds', () => {
    const times = new ChunkTimes();
    times.note(100);
    assert.equal(times.patience, 2_000);
    for (let time = 0; time < 3; time++) times.note(3_000);
    assert.equal(times.patience, 12_000);
  });

  it('expects chunks to take longer where more share the uplink', () => {
    let leases = 1;
    const times = new ChunkTimes(() => leases);
    times.note(1_000);
    leases = 6;
    assert.equal(times.usual, 6_000);
  });

  it('does not expect fewer to be faster: each connection may be capped', () => {
    let leases = 6;
    const times = new ChunkTimes(() => leases);
    times.note(6_000);
    leases = 1;
    assert.equal(times.usual, 6_000);
  });
});
