import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UplinkRate } from '../../../../agent/fetch/rules/uplink-rate.ts';

/** How long a chunk takes of an uplink that carries one in 80 ms, where a connection is given one in so many. ms */
const chunkTime =
  (capped = 80) =>
  (leases: number): number =>
    Math.max(capped, 80 * leases);

/** What was measured when there were so many leases, for five seconds each time. */
function measured(phases: readonly number[], timeOf: (leases: number) => number): { rate: UplinkRate; now: number } {
  let leases = 0;
  const rate = new UplinkRate(() => (leases > 0 ? [leases] : []));
  let now = 0;
  for (const count of phases) {
    const begun = now;
    rate.leaseTime(now);
    leases = count;
    const took = timeOf(count);
    while (now < begun + 5_000) {
      const leaseTime = rate.leaseTime(now);
      const since = now;
      now += took;
      for (let each = 0; each < count; each++) rate.note(since, leaseTime, now);
    }
  }
  return { rate, now };
}

describe('UplinkRate', () => {
  it('knows nothing of what was not measured', () => {
    const rate = new UplinkRate(() => []);
    assert.equal(rate.recentLeases(0), undefined);
    assert.equal(rate.needed(0), undefined);
    assert.ok(!rate.isFull(0));
  });

  it('tells how many leases fill the uplink, once fewer have brought less', () => {
    const { rate, now } = measured([8, 4], chunkTime(400));
    assert.equal(rate.needed(now), 5);
    assert.ok(Math.abs((rate.recentLeases(now) as number) - 4) < 0.1);
  });

  it('does not take an uplink for capped that each lease has a part of', () => {
    const { rate, now } = measured([6, 4, 2], chunkTime());
    assert.equal(rate.needed(now), undefined);
  });

  it('sees that more leases brought no more', () => {
    const full = measured([2, 3], chunkTime());
    assert.ok(full.rate.isFull(full.now));
    const capped = measured([2, 3], chunkTime(400));
    assert.ok(!capped.rate.isFull(capped.now));
  });

  it('forgets what the line was', () => {
    const { rate, now } = measured([8, 4], chunkTime(400));
    assert.equal(rate.needed(now + 20_000), undefined);
    assert.equal(rate.recentLeases(now + 20_000), undefined);
  });

  it('forgets at once what was measured of another line', () => {
    // Five seconds of a line ten times as fast, without a cap: its chunks came in no time.
    let isWide = true;
    const timeOf = (leases: number) => (isWide ? 8 * leases : Math.max(400, 80 * leases));
    let leases = 0;
    const rate = new UplinkRate(() => (leases > 0 ? [leases] : []));
    let now = 0;
    for (const [count, wide] of [
      [3, true],
      [4, true],
      [6, false],
      [3, false],
    ] as const) {
      const begun = now;
      rate.leaseTime(now);
      [leases, isWide] = [count, wide];
      while (now < begun + 4_000) {
        const [leaseTime, since] = [rate.leaseTime(now), now];
        now += timeOf(count);
        for (let each = 0; each < count; each++) rate.note(since, leaseTime, now);
      }
    }
    assert.equal(rate.needed(now), 5);
    assert.ok(!rate.isFull(now));
  });

  it('does not count the time in which nobody took anything', () => {
    const { rate, now } = measured([2], chunkTime());
    const later = now + 3_600_000;
    const leaseTime = rate.leaseTime(later);
    for (const ms of [160, 160, 1_100]) rate.note(later, leaseTime, later + ms);
    assert.equal(rate.recentLeases(later + 1_100), 2);
  });
});
