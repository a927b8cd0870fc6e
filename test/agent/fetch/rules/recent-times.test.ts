import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RecentTimes } from '../../../../agent/fetch/rules/recent-times.ts';

describe('RecentTimes', () => {
  it('gives the middle one of the last 33', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10_000), { minLength: 1, maxLength: 80 }), (all) => {
        const times = new RecentTimes();
        for (const time of all) times.note(time);
        const last = all.slice(-33).sort((a, b) => a - b);
        assert.equal(times.median, last[last.length >> 1]);
      }),
    );
  });

  it('knows nothing at first', () => {
    assert.equal(new RecentTimes().median, undefined);
  });
});
