import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Part, type Selection, selectRange } from '../../../agent/registry/range.ts';

const WHOLE: Selection = { kind: 'whole' };
const NONE: Selection = { kind: 'unsatisfiable' };
const closed = (start: number, end: number): Part => ({ start, end, isOpenEnded: false });
const part = (start: number, end: number): Selection => ({ kind: 'part', ...closed(start, end) });
const rest = (start: number, end: number): Selection => ({ kind: 'part', start, end, isOpenEnded: true });
const parts = (...all: Part[]): Selection => ({ kind: 'parts', parts: all });

test('single ranges', () => {
  const cases: [header: string | undefined, size: number, selection: Selection][] = [
    [undefined, 10, WHOLE],
    ['bytes=0-', 10, rest(0, 10)],
    ['bytes=4-', 10, rest(4, 10)],
    ['bytes=0-0', 10, part(0, 1)],
    ['bytes=2-5', 10, part(2, 6)],
    ['bytes=2-500', 10, part(2, 10)],
    ['bytes=-3', 10, part(7, 10)],
    ['bytes=-300', 10, part(0, 10)],
    ['Bytes=1-2', 10, part(1, 3)],
    ['bytes= \t1-2 ', 10, part(1, 3)],
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

test('several ranges: in the order asked for, those outside left out, those that nearly touch made one', () => {
  const cases: [header: string, selection: Selection][] = [
    ['bytes=0-1,500-501', parts(closed(0, 2), closed(500, 502))],
    ['bytes=500-501, 0-1', parts(closed(500, 502), closed(0, 2))],
    ['bytes=0-1,,-2,', parts(closed(0, 2), closed(998, 1000))],
    ['bytes=0-1,5000-6000,500-501', parts(closed(0, 2), closed(500, 502))],
    ['bytes=0-1,5000-6000', part(0, 2)],
    ['bytes=2000-,-0', NONE],
    ['bytes=0-1,4-5', part(0, 6)],
    ['bytes=0-99,50-149', part(0, 150)],
    ['bytes=0-1,700-701,2-650', part(0, 702)],
    ['bytes=900-901,0-1,300-301,280-310', parts(closed(900, 902), closed(0, 2), closed(280, 311))],
    ['bytes=0-1,500-', parts(closed(0, 2), { start: 500, end: 1000, isOpenEnded: true })],
  ];
  for (const [header, selection] of cases) assert.deepEqual(selectRange(header, 1000), selection, header);
  assert.deepEqual(selectRange('bytes=0-1,-5', 0), WHOLE);
});

test('more ranges than anybody needs are the whole', () => {
  const many = (count: number) => `bytes=${Array.from({ length: count }, (_, at) => `${at * 200}-${at * 200}`)}`;
  assert.equal(selectRange(many(1024), 1_000_000).kind, 'parts');
  assert.deepEqual(selectRange(many(1025), 1_000_000), WHOLE);
  assert.deepEqual(selectRange(`bytes=0-1${','.repeat(1100)}500-501`, 1000), WHOLE, 'none is dropped in silence');
});

test('what is malformed or of another unit is ignored', () => {
  for (const header of ['', 'bytes', 'bytes=', 'bytes=-', 'bytes=,', 'bytes=a-b']) {
    assert.deepEqual(selectRange(header, 10), WHOLE, header);
  }
  for (const header of ['items=0-1', 'bytes=0-1\n', 'bytes=+1-2', 'bytes=1.5-2', 'bytes=0x1-2', ' bytes=0-1']) {
    assert.deepEqual(selectRange(header, 10), WHOLE, header);
  }
  assert.deepEqual(selectRange('bytes=0-1,x', 10), WHOLE);
  assert.deepEqual(selectRange('bytes=5-2,x', 10), WHOLE);
});

test('what ends before it begins selects nothing, wherever the content ends and whatever stands beside it', () => {
  for (const header of ['bytes=5-2', 'bytes=50-20', 'bytes=500-0', 'bytes=0-1,5-2', 'bytes=5-2,-1']) {
    assert.deepEqual(selectRange(header, 10), NONE, header);
  }
});

test('parts are never empty, never outside, never touch, and hold exactly what was asked for and small gaps', () => {
  const number = fc.oneof(fc.nat(2000).map(String), fc.constant(''));
  const range = fc.tuple(number, number).map(([first, last]) => `${first}-${last}`);
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 12 }), fc.nat(1500), (ranges, size) => {
      const selection = selectRange(`bytes=${ranges.join(',')}`, size);
      const chosen = selection.kind === 'part' ? [selection] : selection.kind === 'parts' ? selection.parts : [];
      for (const { start, end } of chosen) assert.ok(start >= 0 && start < end && end <= size);
      const sorted = [...chosen].sort((a, b) => a.start - b.start);
      for (const [at, { start }] of sorted.entries()) assert.ok(at === 0 || start > sorted[at - 1]!.end + 80);
      const isInverted = (text: string) =>
        /^(\d+)-(\d+)$/.test(text) && Number.parseInt(text, 10) > Number(text.split('-')[1]);
      if (selection.kind === 'whole' || ranges.some(isInverted)) return;
      for (const each of ranges) {
        const one = selectRange(`bytes=${each}`, size);
        if (one.kind !== 'part') continue;
        assert.ok(
          chosen.some(({ start, end }) => start <= one.start && one.end <= end),
          each,
        );
      }
    }),
  );
});
