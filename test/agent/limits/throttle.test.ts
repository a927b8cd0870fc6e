import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import type { RateWindow } from '../../../agent/limits/schedule.ts';
import { createThrottle, UNLIMITED } from '../../../agent/limits/throttle.ts';

const KIB = 1024;
const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
const flat = (rate: number): RateWindow[] => [{ rate, from: 0, to: 1440, days: EVERY_DAY }];
const never = new AbortController().signal;
const clock = { now: () => Date.now() };

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: new Date(2026, 0, 5, 7, 59, 58) }));
afterEach(() => mock.timers.reset());

/** Lets what was resolved be noticed. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('no windows: no throttle at all', () => {
  assert.equal(createThrottle([]), UNLIMITED);
  assert.equal(UNLIMITED.take(1e12, never), undefined);
  assert.equal(UNLIMITED.piece(1e12), 1e12);
});

test('a burst goes at once, what follows in its turn, and the time of waiting is counted', async () => {
  const throttle = createThrottle(flat(64 * KIB), clock);
  assert.equal(throttle.take(64 * KIB, never), undefined);
  const done: string[] = [];
  throttle.take(32 * KIB, never)?.then(() => done.push('first'));
  throttle.take(1, never)?.then(() => done.push('second'));
  assert.equal(throttle.held, 0);
  mock.timers.tick(499);
  await settle();
  assert.deepEqual(done, []);
  mock.timers.tick(1);
  await settle();
  assert.deepEqual(done, ['first']);
  mock.timers.tick(2);
  await settle();
  assert.deepEqual(done, ['first', 'second']);
  const { held } = throttle;
  assert.ok(held >= 500 && held <= 502, String(held));
  mock.timers.tick(5_000);
  assert.equal(throttle.held, held);
});

test('who is aborted leaves with the reason, and those behind move up', async () => {
  const throttle = createThrottle(flat(64 * KIB), clock);
  throttle.take(64 * KIB, never);
  const leaving = new AbortController();
  const first = throttle.take(64 * KIB, leaving.signal);
  let released = false;
  throttle.take(16 * KIB, never)?.then(() => {
    released = true;
  });
  mock.timers.tick(250);
  await settle();
  assert.equal(released, false);
  const reason = new Error('gone');
  leaving.abort(reason);
  await assert.rejects(Promise.resolve(first), reason);
  await settle();
  assert.equal(released, true);
  await assert.rejects(Promise.resolve(throttle.take(1, leaving.signal)), reason);
});

test('the hours change under those who wait: a window opens, and closes', async () => {
  const throttle = createThrottle([{ rate: 64 * KIB, from: 480, to: 481, days: [1] }], clock);
  assert.equal(throttle.rate, undefined);
  assert.equal(throttle.take(1e9, never), undefined);
  mock.timers.tick(2_000);
  assert.equal(throttle.rate, 64 * KIB);
  let released = false;
  throttle.take(1024 * 64 * KIB, never)?.then(() => {
    released = true;
  });
  mock.timers.tick(59_999);
  await settle();
  assert.equal(released, false);
  mock.timers.tick(1);
  await settle();
  assert.equal(released, true);
  assert.equal(throttle.rate, undefined);
});

test('pieces are a small part of a second, and no smaller than the progress that peers expect', () => {
  const slow = createThrottle(flat(64 * KIB), clock);
  assert.equal(slow.piece(1024 * KIB), 16 * KIB);
  assert.equal(slow.piece(100), 100);
  const fast = createThrottle(flat(10_000 * KIB), clock);
  assert.equal(fast.piece(1024 * KIB), 100 * KIB);
});
