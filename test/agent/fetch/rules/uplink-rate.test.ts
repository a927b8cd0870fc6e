import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UplinkRate } from '../../../../agent/fetch/rules/uplink-rate.ts';

/** Bytes a ms that an uplink carries. */
const UPLINK = 12_500;

/** What each of so many leases is given of it. Bytes a ms */
type Line = (leases: number) => readonly number[];

/** All have the same, and none more than the cap. */
const fair =
  (cap = UPLINK, uplink = UPLINK): Line =>
  (leases) =>
    Array.from({ length: leases }, () => Math.min(cap, uplink / leases));

/** Two have it all. */
const unfair: Line = (leases) =>
  Array.from({ length: leases }, (_, index) => (index < 2 ? UPLINK / Math.min(2, leases) : 0));

/** What was measured when there were so many leases, for five seconds each time. */
class Measured {
  now = 0;
  #leases: object[] = [];
  readonly rate = new UplinkRate(() => this.#leases.length);

  constructor(phases: readonly number[], line: Line) {
    for (const leases of phases) this.go(leases, line);
  }

  /** Each is heard of four times a second, one after the other. */
  go(count: number, line: Line, ms = 5_000): void {
    this.rate.elapse(this.now);
    for (const lease of this.#leases.splice(count)) this.rate.ended(lease);
    while (this.#leases.length < count) {
      const lease = {};
      this.#leases.push(lease);
      this.rate.began(lease, this.now);
    }
    const given = line(count);
    const heardAt = this.#leases.map(() => this.now);
    for (const end = this.now + ms; this.now < end; this.now += 10) {
      for (const [index, lease] of this.#leases.entries()) {
        if ((this.now / 10) % 25 !== index) continue;
        this.rate.note(lease, (given[index] as number) * (this.now - (heardAt[index] as number)), this.now);
        heardAt[index] = this.now;
      }
    }
  }
}

describe('UplinkRate', () => {
  it('knows nothing of what was not measured', () => {
    const rate = new UplinkRate(() => 0);
    assert.equal(rate.recent(0), undefined);
    assert.equal(rate.needed(0), undefined);
    assert.ok(!rate.isFull(0));
  });

  it('tells how many leases fill the uplink, once fewer have brought less', () => {
    const { rate, now } = new Measured([8, 4], fair(2_500));
    assert.equal(rate.needed(now), 5);
    assert.equal(rate.recent(now)?.leases, 4);
  });

  it('does not take an uplink for capped that each lease has a part of', () => {
    const { rate, now } = new Measured([6, 4, 2], fair());
    assert.equal(rate.needed(now), undefined);
  });

  it('does not take it for capped where some leases are given nothing', () => {
    for (const phases of [
      [8, 4],
      [2, 4, 8],
    ]) {
      const { rate, now } = new Measured(phases, unfair);
      assert.equal(rate.needed(now), undefined);
      assert.ok(rate.isFull(now));
    }
  });

  it('tells how few bring as much as ever came, once fewer have brought less, whatever each of them brings', () => {
    const slowest: Line = (leases) => [...fair(2_500)(leases).slice(2), 300, 400];
    const mixed = new Measured([3, 5], slowest);
    assert.equal(mixed.rate.enough(mixed.now), 5);
    const capped = new Measured([9, 6, 4, 2], fair(2_500));
    assert.equal(capped.rate.enough(capped.now), 6);
    const full = new Measured([2, 4], unfair);
    assert.equal(full.rate.enough(full.now), undefined);
  });

  it('sees that more leases brought no more', () => {
    const full = new Measured([2, 3], fair());
    assert.ok(full.rate.isFull(full.now));
    const capped = new Measured([2, 3], fair(2_500));
    assert.ok(!capped.rate.isFull(capped.now));
  });

  it('tells whether each lease brings as much as the others', () => {
    const even = new Measured([4], fair());
    assert.equal(even.rate.recent(even.now)?.isEven, true);
    const starved = new Measured([4], unfair);
    assert.equal(starved.rate.recent(starved.now)?.isEven, false);
    const alone = new Measured([1], fair());
    assert.equal(alone.rate.recent(alone.now)?.isEven, false);
  });

  it('counts one as starved that is not heard of for long; those of many hosts tell but every two seconds', () => {
    const leases = [{}, {}, {}];
    const rate = new UplinkRate(() => leases.length);
    for (const lease of leases) rate.began(lease, 0);
    for (let now = 0; now < 4_100; now += 100) {
      for (const lease of leases.slice(1)) rate.note(lease, 100_000, now);
      assert.ok([undefined, now < 3_000].includes(rate.recent(now)?.isEven), `at ${now}`);
    }
  });

  it('looks past one in four that brings less: its holder may have a slow line', () => {
    const oneSlow: Line = (leases) => Array.from({ length: leases }, (_, index) => (index === 0 ? 300 : 2_500));
    const three = new Measured([3], oneSlow);
    assert.equal(three.rate.recent(three.now)?.isEven, false);
    const four = new Measured([4], oneSlow);
    assert.equal(four.rate.recent(four.now)?.isEven, true);
  });

  it('tells for how long leases have been uneven, as many as there are', () => {
    const measured = new Measured([4], unfair);
    const before = measured.rate.unevenFor(measured.now);
    assert.ok(before >= 3_000 && before <= 5_000, `${before} ms`);
    measured.go(6, unfair, 1_500);
    assert.ok(measured.rate.unevenFor(measured.now) < 1_500);
    measured.go(6, fair(), 3_000);
    assert.equal(measured.rate.unevenFor(measured.now), 0);
  });

  it('does not judge by a lease that has only just begun', () => {
    const leases = [{}, {}];
    const rate = new UplinkRate(() => leases.length);
    for (const lease of leases) rate.began(lease, 0);
    const late = {};
    for (let now = 0; now < 1_100; now += 100) {
      if (now === 800) {
        rate.elapse(now);
        leases.push(late);
        rate.began(late, now);
      }
      for (const lease of leases) rate.note(lease, lease === late ? 0 : 100_000, now);
    }
    assert.equal(rate.recent(1_000)?.isEven, true);
  });

  it('forgets what the line was', () => {
    const { rate, now } = new Measured([8, 4], fair(2_500));
    assert.equal(rate.needed(now + 20_000), undefined);
    assert.equal(rate.recent(now + 20_000), undefined);
  });

  it('forgets after a pause what may have been of another upstream', () => {
    for (const [pause, needed] of [
      [1_900, 5],
      [2_100, undefined],
    ] as const) {
      const measured = new Measured([8, 4], fair(2_500));
      measured.go(0, fair(), pause);
      assert.equal(measured.rate.needed(measured.now), needed, 'before there is a lease');
      measured.go(2, fair(2_500), 10);
      assert.equal(measured.rate.needed(measured.now), needed);
    }
  });

  it('forgets at once what was measured of another line', () => {
    // Of a line ten times as fast, without a cap.
    const wide = fair(10 * UPLINK, 10 * UPLINK);
    const measured = new Measured([3, 4], wide);
    measured.go(6, fair(2_500), 4_000);
    measured.go(3, fair(2_500), 4_000);
    assert.equal(measured.rate.needed(measured.now), 5);
    assert.ok(!measured.rate.isFull(measured.now));
  });

  it('does not count the time in which nobody took anything', () => {
    const measured = new Measured([2, 0], fair());
    measured.now += 3_600_000;
    measured.go(2, fair(), 1_500);
    assert.equal(measured.rate.recent(measured.now)?.leases, 2);
  });
});
