import assert from 'node:assert/strict';
import test from 'node:test';
import { createPreference } from '../../../agent/upstream/preference.ts';

const [A, B, C] = ['https://a', 'https://b', 'https://c'].map((origin) => ({ origin })) as [
  { origin: string },
  { origin: string },
  { origin: string },
];
const ALL = [A, B, C];

test('an endpoint that was lost comes last for a while, and then first again, for one caller', () => {
  const preference = createPreference(30_000);
  assert.deepEqual(preference.order(ALL, 0), [A, B, C]);
  preference.lost(A.origin, 1000);
  assert.deepEqual(preference.order(ALL, 1000), [B, C, A]);
  assert.deepEqual(preference.order(ALL, 30_999), [B, C, A]);
  assert.deepEqual(preference.order(ALL, 31_000), [A, B, C], 'one tries it');
  assert.deepEqual(preference.order(ALL, 31_000), [B, C, A], 'for all');
  preference.lost(A.origin, 33_000);
  assert.deepEqual(preference.order(ALL, 60_999), [B, C, A]);
  assert.deepEqual(preference.order(ALL, 61_000), [A, B, C], 'and again');
  preference.reached(A.origin);
  assert.deepEqual(preference.order(ALL, 61_001), [A, B, C]);
  assert.deepEqual(preference.order(ALL, 61_001), [A, B, C], 'for good');
});

test('failing again as the last resort does not put its time off', () => {
  const preference = createPreference(30_000);
  for (let now = 0; now < 30_000; now += 1000) preference.lost(A.origin, now);
  assert.deepEqual(preference.order(ALL, 30_000), [A, B, C]);
});

test('where all are lost the old order stands; where one answers it leads', () => {
  const preference = createPreference(30_000);
  for (const { origin } of ALL) preference.lost(origin, 0);
  assert.deepEqual(preference.order(ALL, 10), [A, B, C]);
  preference.reached(C.origin);
  assert.deepEqual(preference.order(ALL, 20), [C, A, B]);
  assert.ok(preference.isAvoided(A.origin, 20));
  assert.ok(!preference.isAvoided(C.origin, 20));
});

test('a lone endpoint is asked whatever happened', () => {
  const preference = createPreference(30_000);
  preference.lost(A.origin, 0);
  assert.deepEqual(preference.order([A], 1), [A]);
});

test('a flood of origins is bounded', () => {
  const preference = createPreference(30_000);
  for (let index = 0; index < 10_000; index++) preference.lost(`https://${index}`, 0);
  assert.ok(!preference.isAvoided('https://0', 1));
  assert.ok(preference.isAvoided('https://9999', 1));
});
