import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Selection, selectRange } from '../../../agent/registry/range.ts';

const WHOLE: Selection = { kind: 'whole' };
const NONE: Selection = { kind: 'unsatisfiable' };
const part = (start: number, end: number): Selection => ({ kind: 'part', start, end });

test('single ranges', () => {
  const cases: [header: string | undefined, size: number, selection: Selection][] = [
    [undefined, 10, WHOLE],
    ['bytes=0-', 10, part(0, 10)],
    ['bytes=4-', 10, part(4, 10)],
    ['bytes=0-0', 10, part(0, 1)],
    ['bytes=2-5', 10, part(2, 6)],
    ['bytes=2-500', 10, part(2, 10)],
    ['bytes=-3', 10, part(7, 10)],
    ['bytes=-300', 10, part(0, 10)],
    ['Bytes=1-2', 10, part(1, 3)],
    ['bytes=10-', 10, NONE],
    ['bytes=10-20', 10, NONE],
    ['bytes=-0', 10, NONE],
    ['bytes=0-', 0, NONE],
    ['bytes=-5', 0, WHOLE],
    [`bytes=${'9'.repeat(400)}-`, 10, NONE],
    [`bytes=0-${'9'.repeat(400)}`, 10, part(0, 10)],
  ];
  for (const [header, size, selection] of cases) {
    assert.deepEqual(selectRange(header, size), selection, `${header} of ${size}`);
  }
});

test('what is malformed, of another unit or several is ignored', () => {
  for (const header of ['', 'bytes', 'bytes=', 'bytes=-', 'bytes=5-2', 'bytes=50-20', 'bytes=a-b', 'bytes=1-2,4-5']) {
    assert.deepEqual(selectRange(header, 10), WHOLE, header);
  }
  for (const header of ['items=0-1', 'bytes=0-1\n', 'bytes=+1-2', 'bytes=1.5-2', 'bytes=0x1-2', ' bytes=0-1']) {
    assert.deepEqual(selectRange(header, 10), WHOLE, header);
  }
});

test('a part is never empty and never outside', () => {
  const number = fc.oneof(fc.nat(40).map(String), fc.constant(''), fc.string({ maxLength: 3 }));
  fc.assert(
    fc.property(number, number, fc.nat(20), (first, last, size) => {
      const selection = selectRange(`bytes=${first}-${last}`, size);
      if (selection.kind !== 'part') return;
      assert.ok(selection.start >= 0 && selection.start < selection.end && selection.end <= size);
    }),
  );
});
