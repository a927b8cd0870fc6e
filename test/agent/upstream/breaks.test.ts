import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { isHopeless, MAX_BREAKS, NO_BREAKS, pauseAfter, withBreak } from '../../../agent/upstream/breaks.ts';
import { MIN_CHUNK_SIZE } from '../../../protocol/chunks.ts';

test('a body that stands still is given up after so many breaks', () => {
  let breaks = NO_BREAKS;
  for (let count = 1; count <= MAX_BREAKS; count++) {
    breaks = withBreak(breaks, 1000);
    assert.equal(isHopeless(breaks), false);
  }
  assert.equal(isHopeless(withBreak(breaks, 1000)), true);
});

test('one that moves by a chunk between breaks never is', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: MIN_CHUNK_SIZE, max: 1e9 }), { maxLength: 50 }), (steps) => {
      let breaks = NO_BREAKS;
      let position = 0;
      for (const step of steps) {
        position += step;
        breaks = withBreak(breaks, position);
        assert.equal(breaks.row, 1);
      }
    }),
  );
});

test('the first try is at once, those after it wait longer and longer', () => {
  const pauses: number[] = [];
  let breaks = NO_BREAKS;
  for (let count = 0; count < MAX_BREAKS; count++) {
    breaks = withBreak(breaks, 0);
    pauses.push(pauseAfter(breaks));
  }
  assert.deepEqual(pauses, [0, 200, 400, 800, 1600]);
});
