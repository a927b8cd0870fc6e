import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AdvertiseSchedule,
  CPU_SHARE,
  createAdvertiseSchedule,
  LATE_AFTER,
  MAX_GAP,
  MIN_GAP,
  RENEW_AFTER,
  RETRY_AFTER,
} from '../../../agent/swarm/advertise.ts';
import { type Digest, toDigest } from '../../../protocol/digest.ts';

const HOUR = 3_600_000;
const digestOf = (at: number): Digest => toDigest('sha256', Buffer.alloc(32, at));

/** Runs the schedule for `ms` with provides that cost `cpu`; gives [time, digest] of each. */
function run(schedule: AdvertiseSchedule, from: number, ms: number, cpu = 1): [number, Digest][] {
  const provided: [number, Digest][] = [];
  for (let now = from; now < from + ms; ) {
    const { digest, lookAgainAt } = schedule.next(now);
    if (digest === undefined) {
      assert.ok(lookAgainAt > now, 'the clock must move');
      now = lookAgainAt;
      continue;
    }
    provided.push([now, digest]);
    schedule.done(digest, now, true, cpu);
  }
  return provided;
}

test('the blob held last goes first, and at most one goes each half second', () => {
  const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 0 });
  for (const at of [1, 2, 3]) schedule.hold(digestOf(at));
  assert.deepEqual(run(schedule, 0, 10_000), [
    [0, digestOf(3)],
    [MIN_GAP, digestOf(2)],
    [2 * MIN_GAP, digestOf(1)],
  ]);
});

test('nothing is provided until no blob has come for a while', () => {
  const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 30_000 });
  schedule.hold(digestOf(1), 0);
  schedule.hold(digestOf(2), 20_000);
  assert.deepEqual(run(schedule, 20_000, 40_000), [
    [50_000, digestOf(2)],
    [50_000 + MIN_GAP, digestOf(1)],
  ]);
});

test('but what waits for calm waits no longer than ten minutes', () => {
  const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 30_000 });
  const provided: number[] = [];
  // A blob every 10 s, for ever.
  for (let now = 0; now < 2 * LATE_AFTER; now += 10_000) {
    schedule.hold(toDigest('sha256', Buffer.alloc(32, String(now).padStart(8, '0'))), now);
    provided.push(...run(schedule, now, 10_000).map(([time]) => time));
  }
  assert.equal(provided[0], LATE_AFTER);
  assert.equal(provided.length, LATE_AFTER / 10_000);
});

test('a record is renewed before its validity has passed, again and again', () => {
  const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 0 });
  schedule.hold(digestOf(1));
  const times = run(schedule, 0, 10 * HOUR).map(([time]) => time);
  assert.ok(times.length >= 10);
  times.slice(1).forEach((time, at) => {
    assert.equal(time - (times[at] ?? 0), RENEW_AFTER * HOUR);
  });
});

test('the full number of blobs is renewed in time, at the pace of an ordinary provide', () => {
  const schedule = createAdvertiseSchedule({ validity: 6 * HOUR, calm: 0 });
  for (let at = 0; at < 2_000; at++) schedule.hold(toDigest('sha256', Buffer.alloc(32, String(at).padStart(8, '0'))));
  const last = new Map<Digest, number>();
  for (const [time, digest] of run(schedule, 0, 24 * HOUR, 10)) {
    assert.ok(time - (last.get(digest) ?? time) < 6 * HOUR);
    last.set(digest, time);
  }
  assert.equal(last.size, 2_000);
  for (const time of last.values()) assert.ok(24 * HOUR - time < 6 * HOUR);
});

test('whatever provides cost, they take no more than two percent of a core', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: MAX_GAP * CPU_SHARE, noNaN: true }), { minLength: 2 }), (costs) => {
      const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 0, limit: costs.length });
      costs.forEach((_, at) => {
        schedule.hold(toDigest('sha256', Buffer.alloc(32, String(at).padStart(8, '0'))));
      });
      let now = 0;
      let spent = 0;
      for (const cpu of costs) {
        const { digest } = schedule.next(now);
        assert.ok(digest);
        schedule.done(digest, now, true, cpu);
        spent += cpu;
        now = Math.max(now, schedule.next(now).lookAgainAt, now + MIN_GAP, now + cpu / CPU_SHARE);
        assert.ok(spent <= now * CPU_SHARE * (1 + 1e-9), `${spent} ms of ${now}`);
        assert.equal(schedule.next(now - MIN_GAP / 2).digest, undefined);
      }
    }),
  );
});

test('a provide that failed is tried again soon; one that was dropped meanwhile is not', () => {
  const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 0 });
  schedule.hold(digestOf(1));
  schedule.hold(digestOf(2));
  schedule.done(digestOf(2), 0, false, 0);
  assert.equal(schedule.next(MIN_GAP).digest, digestOf(1));
  assert.equal(schedule.drop(digestOf(1)), false);
  schedule.done(digestOf(1), MIN_GAP, true, 0);
  assert.deepEqual(schedule.next(2 * MIN_GAP), { digest: undefined, lookAgainAt: RETRY_AFTER });
  assert.equal(schedule.next(RETRY_AFTER).digest, digestOf(2));
});

test('a blob gone is forgotten, and whether it was advertised is told', () => {
  const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 0 });
  schedule.hold(digestOf(1));
  schedule.done(digestOf(1), 0, true, 0);
  assert.equal(schedule.drop(digestOf(1)), true);
  assert.equal(schedule.drop(digestOf(1)), false);
  assert.deepEqual(schedule.next(2 * HOUR), { digest: undefined, lookAgainAt: Number.POSITIVE_INFINITY });
});

test('beyond the limit the longest held makes room', () => {
  const schedule = createAdvertiseSchedule({ validity: HOUR, calm: 0, limit: 2 });
  assert.equal(schedule.hold(digestOf(1)), undefined);
  assert.equal(schedule.hold(digestOf(2)), undefined);
  assert.equal(schedule.hold(digestOf(1)), undefined);
  assert.equal(schedule.hold(digestOf(3)), digestOf(2));
});
