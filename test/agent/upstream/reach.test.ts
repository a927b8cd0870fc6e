import assert from 'node:assert/strict';
import test from 'node:test';
import { createLostOrigins } from '../../../agent/upstream/reach.ts';

test('an origin is remembered for so long and no longer', () => {
  const lost = createLostOrigins(2000);
  assert.equal(lost.has('https://a', 0), false);
  lost.note('https://a', 1000);
  assert.equal(lost.has('https://a', 2999), true);
  assert.equal(lost.has('https://b', 2999), false);
  assert.equal(lost.has('https://a', 3000), false);
});

test('an answer ends it', () => {
  const lost = createLostOrigins(2000);
  lost.note('https://a', 0);
  lost.forget('https://a');
  assert.equal(lost.has('https://a', 1), false);
});

test('a flood of origins is bounded', () => {
  const lost = createLostOrigins(2000);
  for (let index = 0; index < 10_000; index++) lost.note(`https://${index}`, 0);
  assert.equal(lost.has('https://0', 1), false);
  assert.equal(lost.has('https://9999', 1), true);
});
