import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChunkTimes } from '../../../../agent/fetch/rules/chunk-times.ts';
import { isLate, isSlow } from '../../../../agent/fetch/rules/lateness.ts';
import { newTaking } from '../../../../agent/fetch/rules/taking.ts';
import { MiB } from '../../../support/simulation/said.ts';

const COUNT = 64;

interface Held {
  /** Bytes a ms; since the lease was begun, or the last chunk came. */
  readonly brings: number;
  /** What a chunk has taken so far; undefined where none was seen. ms */
  readonly usual?: number;
  readonly chunkSize?: number;
  readonly limit?: number;
}

/** When the holder of a lease is late that brings so many bytes, and never a chunk. ms; undefined where it never is. */
function lateAt(held: Held): number | undefined {
  const { brings, usual, chunkSize = MiB, limit = 600_000 } = held;
  const times = new ChunkTimes();
  if (usual !== undefined) times.note(usual, 0);
  const taking = newTaking(COUNT, 0);
  taking.leases = [[0, 4]];
  for (let now = 0; now < limit; now += 100) {
    taking.received = now * brings;
    // As the table notes it: less than so many bytes are none.
    if (taking.received >= taking.progressBytes + 32 * 1024) {
      taking.progressAt = now;
      taking.progressBytes = taking.received;
    }
    if (isLate(taking, chunkSize, times, now)) return now;
  }
  return undefined;
}

describe('a lease that brings no chunk', () => {
  it('is late after a stall time-out without bytes', () => {
    assert.equal(lateAt({ brings: 0 }), 5_100);
    assert.equal(lateAt({ brings: 1 }), 5_100);
  });

  it('is late sooner where other chunks take less', () => {
    assert.equal(lateAt({ brings: 0, usual: 100 }), 2_100);
    assert.equal(lateAt({ brings: 0, usual: 1_000 }), 4_100);
  });

  it('may have a chunk’s bytes come steadily for a while, but not over all bounds', () => {
    const at = lateAt({ brings: 20, usual: 1_000 }) ?? 0;
    assert.ok(at > 4_000 && at <= 40_100, `${at} ms`);
  });

  it('is late once it has more bytes than the chunk, at whatever pace it makes them up', () => {
    assert.equal(lateAt({ brings: 5_000, usual: 100 }), 2_100);
    assert.equal(lateAt({ brings: 5_000 }), 2_100);
    const slowly = lateAt({ brings: 200, usual: 100 }) ?? Number.POSITIVE_INFINITY;
    assert.ok(slowly < 7_000, `${slowly} ms`);
  });

  it('may have all of a chunk’s bytes before it is announced, and a few more', () => {
    for (const [received, late] of [
      [1.1, false],
      [1.2, true],
    ] as const) {
      const times = new ChunkTimes();
      times.note(1_000, 0);
      const taking = { ...newTaking(COUNT, 0), leases: [[0, 4]] as const, progressAt: 4_500, received: received * MiB };
      assert.equal(isLate(taking, MiB, times, 4_600), late);
    }
  });

  it('is allowed the bytes of a larger chunk', () => {
    const large = { brings: 200, usual: 5_000, limit: 9_000 };
    assert.equal(lateAt({ ...large, chunkSize: 2 * MiB }), undefined);
    assert.notEqual(lateAt(large), undefined);
  });

  it('is slow where bytes come, and no more than a chunk has: not where they stall, are but a few, or are made up', () => {
    const slow = (chunks: number, silentFor: number) =>
      isSlow({ ...newTaking(COUNT, 0), received: chunks * MiB, progressAt: 60_000 - silentFor }, MiB, 60_000);
    assert.ok(slow(0.5, 1_000) && slow(1.1, 1_000) && slow(0.5, 5_000));
    assert.ok(!slow(0.5, 5_001));
    assert.ok(!slow(0.1, 1_000));
    assert.ok(!slow(1.2, 1_000));
  });
});
