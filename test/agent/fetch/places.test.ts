import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Places } from '../../../agent/fetch/places.ts';

const never = new AbortController().signal;

test('who comes when all places are taken waits, and is let in in turn', async () => {
  const places = new Places(2);
  const leaves = [await places.take(never), await places.take(never)];
  const order: number[] = [];
  const waiting = [1, 2, 3].map(async (each) => {
    const leave = await places.take(never);
    order.push(each);
    return leave;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, []);
  leaves[0]!();
  leaves[0]!();
  await waiting[0];
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, [1], 'a place that is given back twice is one place');
  leaves[1]!();
  (await waiting[0])!();
  await Promise.all(waiting);
  assert.deepEqual(order, [1, 2, 3]);
});

test('who leaves the line takes no place', async () => {
  const places = new Places(1);
  const leave = await places.take(never);
  const gone = new AbortController();
  const first = places.take(gone.signal);
  const second = places.take(never);
  gone.abort(new Error('gone'));
  await assert.rejects(first, /gone/);
  await assert.rejects(places.take(gone.signal), /gone/);
  leave();
  (await second)();
  (await places.take(never))();
});
