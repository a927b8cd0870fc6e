import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, type Known, type Said, UNKNOWN } from '../../../../agent/fetch/privacy/standing.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const NOW = 1_763_771_234_567;

const said = (what: Said, ago: number, failed?: number): Known => ({
  standing: { said: what, checkedAt: NOW - ago },
  failedAt: failed === undefined ? undefined : NOW - failed,
});
const judged = (known: Known) => judge('public', true, known, NOW);

test('what the configuration says comes first, and nobody is asked', () => {
  for (const known of [UNKNOWN, said('public', 0), said('denied', 0), said('missing', 2 * HOUR)]) {
    for (const mayBePrivate of [true, false]) {
      assert.deepEqual(judge('none', mayBePrivate, known, NOW), { isShared: false, isDue: false });
      assert.deepEqual(judge('all', mayBePrivate, known, NOW), { isShared: true, isDue: false });
    }
    assert.deepEqual(judge('public', false, known, NOW), { isShared: true, isDue: false });
  }
});

test('with credentials it is private until it was found public', () => {
  assert.deepEqual(judged(UNKNOWN), { isShared: false, isDue: true });
  assert.deepEqual(judged(said('public', MINUTE)), { isShared: true, isDue: false });
  assert.deepEqual(judged(said('denied', MINUTE)), { isShared: false, isDue: false });
  assert.deepEqual(judged(said('missing', MINUTE)), { isShared: false, isDue: false });
});

test('it is asked again after an hour; what a mistyped tag may have been, after five minutes', () => {
  assert.equal(judged(said('denied', HOUR - 1)).isDue, false);
  assert.equal(judged(said('denied', HOUR)).isDue, true);
  assert.equal(judged(said('missing', 5 * MINUTE - 1)).isDue, false);
  assert.equal(judged(said('missing', 5 * MINUTE)).isDue, true);
  assert.deepEqual(judged(said('public', HOUR)), { isShared: true, isDue: true });
});

test('where it cannot be asked again, public stands for a day and no longer', () => {
  assert.equal(judged(said('public', 24 * HOUR - 1, MINUTE)).isShared, true);
  assert.equal(judged(said('public', 24 * HOUR, MINUTE)).isShared, false);
});

test('a registry that did not say is left alone for half a minute, whatever was known', () => {
  for (const known of [UNKNOWN, said('public', 2 * HOUR), said('denied', 2 * HOUR)]) {
    assert.equal(judged({ ...known, failedAt: NOW - 30 * SECOND + 1 }).isDue, false);
    assert.equal(judged({ ...known, failedAt: NOW - 30 * SECOND }).isDue, true);
    assert.equal(judged({ ...known, failedAt: NOW }).isShared, judged(known).isShared);
  }
});

test('a clock that was put back makes nothing last: it is private, and asked', () => {
  assert.deepEqual(judged(said('public', -1)), { isShared: false, isDue: true });
  assert.deepEqual(judged(said('denied', -HOUR)), { isShared: false, isDue: true });
  assert.equal(judged({ standing: undefined, failedAt: NOW + HOUR }).isDue, true);
});

test('whatever the clock does: shared only with "public" of the last day, and never neither shared, due nor answered', () => {
  const time = fc.option(fc.integer({ min: -3 * 24 * HOUR, max: 3 * 24 * HOUR }), { nil: undefined });
  const what = fc.constantFrom<Said>('public', 'denied', 'missing');
  fc.assert(
    fc.property(what, time, time, (says, ago, failed) => {
      const standing = ago === undefined ? undefined : { said: says, checkedAt: NOW - ago };
      const known = { standing, failedAt: failed === undefined ? undefined : NOW - failed };
      const { isShared, isDue } = judged(known);
      const isOfLastDay = ago !== undefined && ago >= 0 && ago < 24 * HOUR;
      assert.equal(isShared, says === 'public' && isOfLastDay);
      const isAnswered = ago !== undefined && ago >= 0 && ago < HOUR;
      const isLeftAlone = failed !== undefined && failed >= 0 && failed < 30 * SECOND;
      assert.ok(isDue || isAnswered || isLeftAlone);
    }),
  );
});
