import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judge, type TagSettings } from '../../../../agent/fetch/tags/freshness.ts';
import { tagRecord } from './records.ts';

const DAY = 86_400_000;
const settings = (fresh: Record<string, number>, immutable: string[] = []): TagSettings => ({
  fresh: Object.entries(fresh).map(([pattern, time]) => ({ pattern, time })),
  immutable,
});
const kindAt = (tag: string, age: number, set: TagSettings) =>
  judge(tagRecord({ checkedAt: 10 * DAY }), tag, set, 10 * DAY + age).kind;

test('of what nothing is known upstream is asked, with nothing in hand', () => {
  const immutable = settings({ '*': DAY }, ['*']);
  assert.deepEqual(judge(undefined, 'latest', immutable, 0), { kind: 'ask', stale: undefined });
});

test('within the window the record answers; from its end on upstream is asked, with the record in hand', () => {
  const record = tagRecord({ checkedAt: 1000 });
  const set = settings({ '*': 60_000 });
  assert.deepEqual(judge(record, 'latest', set, 1000), { kind: 'answer', record });
  assert.deepEqual(judge(record, 'latest', set, 60_999), { kind: 'answer', record });
  assert.deepEqual(judge(record, 'latest', set, 61_000), { kind: 'ask', stale: record });
});

test('a window of no time: every request asks, in the very millisecond too', () => {
  assert.equal(kindAt('latest', 0, settings({ '*': 0 })), 'ask');
});

test('a clock that was put back makes nothing fresh', () => {
  assert.equal(kindAt('latest', -1, settings({ '*': DAY })), 'ask');
});

test('what never moves is never asked again, however old, whatever the clock', () => {
  const set = settings({ '*': 0 }, ['v*', '1.2.3']);
  for (const age of [-DAY, 0, 5 * DAY]) {
    assert.equal(kindAt('v1', age, set), 'answer');
    assert.equal(kindAt('1.2.3', age, set), 'answer');
    assert.equal(kindAt('latest', age, set), 'ask');
  }
});

test('the pattern that says most counts, in any order; of equals the shorter time; of none a minute', () => {
  const orders = [
    { '*': 60, '*-nightly': 0, 'v1-*': 500, 'v1-nightly': 900 },
    { 'v1-nightly': 900, 'v1-*': 500, '*-nightly': 0, '*': 60 },
  ];
  for (const fresh of orders) {
    const set = settings(fresh);
    assert.equal(kindAt('latest', 59, set), 'answer');
    assert.equal(kindAt('latest', 60, set), 'ask');
    assert.equal(kindAt('v2-nightly', 0, set), 'ask');
    assert.equal(kindAt('v1-rc', 499, set), 'answer');
    assert.equal(kindAt('v1-nightly', 899, set), 'answer');
  }
  assert.equal(kindAt('ab', 50, settings({ 'a*': 10, '*b': 100 })), 'ask');
  assert.equal(kindAt('latest', 59_999, settings({ 'v*': 0 })), 'answer');
  assert.equal(kindAt('latest', 60_000, settings({ 'v*': 0 })), 'ask');
});

test('time only ever makes a record less fresh', () => {
  const tag = fc.constantFrom('latest', 'v1', 'v1-nightly');
  const fresh = fc.dictionary(fc.constantFrom('*', 'v*', '*-nightly', 'latest'), fc.nat(1000));
  fc.assert(
    fc.property(tag, fresh, fc.nat(2000), fc.nat(2000), (name, times, age, more) => {
      if (kindAt(name, age, settings(times)) === 'ask') assert.equal(kindAt(name, age + more, settings(times)), 'ask');
    }),
  );
});
