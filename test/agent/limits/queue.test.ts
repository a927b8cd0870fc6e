import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { burstAt, createBucket } from '../../../agent/limits/bucket.ts';
import { createQueue, type Waiting } from '../../../agent/limits/queue.ts';

const KIB = 1024;
const rates = fc.integer({ min: 64 * KIB, max: 1024 ** 3 });

/** One that joins at `at` ms and wants `bytes`; it may leave again at `leaves`. */
interface Comer {
  readonly at: number;
  readonly bytes: number;
  readonly leaves?: number | undefined;
}

interface Released {
  readonly comer: number;
  readonly bytes: number;
  readonly at: number;
}

/** Runs the queue through virtual time. @param late how late its timer is, ms */
function run(rate: number, comers: readonly Comer[], late: () => number = () => 0): Released[] {
  const bucket = createBucket(rate, 0);
  const queue = createQueue();
  const released: Released[] = [];
  const events = comers
    .flatMap(({ at, bytes, leaves }, comer) => {
      const waiting: Waiting = { left: bytes, release: () => released.push({ comer, bytes, at: now }) };
      const join = { at, act: () => queue.join(waiting) };
      return leaves === undefined ? [join] : [join, { at: leaves, act: () => queue.leave(waiting) }];
    })
    .sort((one, other) => one.at - other.at);
  let now = 0;
  let timer: number | undefined;
  for (let steps = 0; ; steps++) {
    assert.ok(steps < 100_000, 'it comes to an end');
    const [next] = events;
    if (next !== undefined && (timer === undefined || next.at <= timer)) {
      now = Math.max(now, next.at);
      events.shift();
      next.act();
    } else if (timer !== undefined) now = timer;
    else return released;
    const wait = queue.serve(bucket, now);
    timer = wait === undefined ? undefined : now + wait + late();
  }
}

/** Most bytes released in a window of `span` ms beyond those that the rate allows. */
function excess(rate: number, released: readonly Released[], span: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let first = 0, last = 0, sum = 0; last < released.length; last++) {
    sum += released[last]!.bytes;
    while (released[last]!.at - released[first]!.at > span) sum -= released[first++]!.bytes;
    most = Math.max(most, sum - (rate * span) / 1000);
  }
  return most;
}

const comersOf = (most: number) =>
  fc.array(fc.record({ at: fc.nat(3_000), bytes: fc.integer({ min: 1, max: most }) }), {
    minLength: 1,
    maxLength: 200,
  });

test('in no window do more bytes go than the rate and one burst, however late the timers are', () => {
  fc.assert(
    fc.property(
      rates,
      comersOf(64 * KIB),
      fc.integer({ min: 1, max: 5_000 }),
      fc.nat(50),
      (rate, comers, span, late) => {
        assert.ok(
          excess(
            rate,
            run(rate, comers, () => late),
            span,
          ) <=
            burstAt(rate) + 1,
        );
      },
    ),
  );
});

test('the rate holds within 5% over any window of ten bursts or more while somebody always waits', () => {
  fc.assert(
    fc.property(rates, fc.integer({ min: KIB, max: 64 * KIB }), (rate, bytes) => {
      const burst = burstAt(rate);
      const count = Math.min(3_000, Math.ceil((60 * burst) / bytes));
      const released = run(
        rate,
        Array.from({ length: count }, () => ({ at: 0, bytes })),
      );
      assert.equal(released.length, count);
      // The first burst is saved up; from then on it is the rate alone.
      const steady = released.filter(({ at }) => at > 0);
      const first = steady[0];
      const last = steady.at(-1);
      if (first === undefined || last === undefined || steady.length < 40) return;
      const seconds = (last.at - first.at) / 1000;
      const measured = ((steady.length - 1) * bytes) / seconds;
      assert.ok(Math.abs(measured / rate - 1) < 0.05, `${measured} instead of ${rate}`);
    }),
  );
});

test('first come, first served: nobody is passed and nobody starves, also behind who wants more than a burst', () => {
  fc.assert(
    fc.property(rates, comersOf(1024 * KIB), (rate, comers) => {
      const order = run(rate, comers).map(({ comer }) => comer);
      const arrived = comers.map((_, comer) => comer).sort((one, other) => comers[one]!.at - comers[other]!.at);
      assert.deepEqual(order, arrived);
    }),
  );
});

test('those behind one who leaves wait no longer for it', () => {
  const rate = 64 * KIB;
  const [first, ...others] = run(rate, [
    { at: 0, bytes: 64 * KIB },
    { at: 0, bytes: 64 * KIB, leaves: 10 },
    { at: 0, bytes: 64 * KIB },
  ]);
  assert.deepEqual(first, { comer: 0, bytes: 64 * KIB, at: 0 });
  assert.equal(others.length, 1);
  assert.equal(others[0]?.comer, 2);
  assert.ok(Math.abs((others[0]?.at ?? 0) - 1000) < 1);
});

test('a change of the rate keeps what is held, and a smaller bucket overflows', () => {
  const bucket = createBucket(10 * KIB * KIB, 0);
  assert.equal(bucket.burst, KIB * KIB);
  bucket.setRate(64 * KIB, 0);
  assert.equal(bucket.burst, 64 * KIB);
  assert.equal(bucket.take(64 * KIB, 0), 0);
  assert.equal(bucket.take(64 * KIB, 0), 1000);
  bucket.setRate(128 * KIB, 500);
  assert.equal(bucket.take(64 * KIB, 500), 250);
  assert.equal(bucket.take(64 * KIB, 750), 0);
  assert.throws(() => bucket.take(64 * KIB + 1, 10_000), RangeError);
});
