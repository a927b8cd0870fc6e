import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTakenAlone } from '../../../agent/fetch/lazy-rule.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';

test('a part is taken alone where it touches less than half of the chunks', () => {
  const cases: [size: number, start: number, end: number, alone: boolean][] = [
    [10 * MIB, 0, 2, true],
    [10 * MIB, 10 * MIB - 47, 10 * MIB, true],
    [10 * MIB, 0, 4 * MIB, true],
    [10 * MIB, 0, 4 * MIB + 1, false],
    [10 * MIB, MIB - 1, 4 * MIB + 1, false],
    [10 * MIB, 0, 10 * MIB, false],
    [3 * MIB, 5, 6, true],
    [2 * MIB, 5, 6, false],
    [1000, 5, 6, false],
  ];
  for (const [size, start, end, alone] of cases) {
    assert.equal(isTakenAlone({ size, start, end, taken: 0 }), alone, `${start}-${end} of ${size}`);
  }
});

test('and only until half of the bytes were taken in parts', () => {
  const part = { size: 10 * MIB, start: 0, end: MIB };
  assert.equal(isTakenAlone({ ...part, taken: 4 * MIB - 1 }), true);
  assert.equal(isTakenAlone({ ...part, taken: 4 * MIB }), false);
});
