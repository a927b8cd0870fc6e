import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROVEN_AFTER, Proven } from '../../../agent/fetch/proven.ts';

test('a peer is proven once so many of its chunks were right, whatever blobs they were of', () => {
  const proven = new Proven();
  assert.equal(proven.has('a', 0), false);
  proven.add('a', PROVEN_AFTER - 1, 10);
  assert.equal(proven.has('a', 99), false);
  proven.add('a', 1, 20);
  assert.equal(proven.has('a', 99), true);
  assert.equal(proven.has('b', 99), false);
});

test('its word counts for what is begun from then on, and what it gives later changes nothing', () => {
  const proven = new Proven();
  proven.add('a', PROVEN_AFTER, 20);
  proven.add('a', 100, 30);
  assert.deepEqual(
    [19, 20, 25].map((time) => proven.has('a', time)),
    [false, true, true],
  );
});

test('one that lied begins anew', () => {
  const proven = new Proven();
  proven.add('a', 100 * PROVEN_AFTER, 1);
  proven.forget('a');
  assert.equal(proven.has('a', 99), false);
  proven.add('a', PROVEN_AFTER - 1, 2);
  assert.equal(proven.has('a', 99), false);
});
