import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bitmapOf,
  clearBit,
  eachNew,
  fullBitmap,
  hasBit,
  isBitmapOf,
  MAX_BITMAP_LENGTH,
  setBit,
  union,
} from '../../protocol/bitmap.ts';
import { MAX_CHUNKS } from '../../protocol/chunks.ts';

const count = fc.integer({ min: 0, max: MAX_CHUNKS });

test('bits that are set and cleared are those that are there, and no others', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.array(fc.record({ at: fc.nat(), on: fc.boolean() }), { maxLength: 100 }),
      (chunks, steps) => {
        const bitmap = bitmapOf(chunks);
        const expected = new Set<number>();
        for (const { at, on } of steps) {
          const index = at % chunks;
          if (on) {
            setBit(bitmap, index);
            expected.add(index);
          } else {
            clearBit(bitmap, index);
            expected.delete(index);
          }
        }
        for (let index = 0; index < chunks; index++) assert.equal(hasBit(bitmap, index), expected.has(index));
        assert.ok(isBitmapOf(bitmap, chunks));
      },
    ),
  );
});

test('chunk 0 is the lowest bit of the first byte', () => {
  const bitmap = bitmapOf(17);
  for (const index of [0, 9, 16]) setBit(bitmap, index);
  assert.deepEqual([...bitmap], [0b1, 0b10, 0b1]);
});

test('a bitmap has the length of its chunks, at least a byte, and no bit beyond the last', () => {
  fc.assert(
    fc.property(count, (chunks) => {
      const bitmap = bitmapOf(chunks);
      assert.ok(bitmap.length >= 1 && bitmap.length <= MAX_BITMAP_LENGTH);
      assert.ok(isBitmapOf(bitmap, chunks));
      assert.equal(isBitmapOf(new Uint8Array(bitmap.length + 1), chunks), false);
      assert.equal(isBitmapOf(bitmap.subarray(1), chunks), false);
      for (let index = 0; index < chunks; index++) setBit(bitmap, index);
      assert.ok(isBitmapOf(bitmap, chunks));
      if (chunks < bitmap.length * 8) {
        setBit(bitmap, chunks);
        assert.equal(isBitmapOf(bitmap, chunks), false);
      }
    }),
  );
});

test('beyond its end a bitmap has nothing', () => {
  assert.equal(hasBit(Uint8Array.of(0xff), 8), false);
});

test('a full bitmap is one of its chunks, and what is set in either of two is set in both together', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat(), (chunks, a, b) => {
      assert.ok(isBitmapOf(fullBitmap(chunks), chunks));
      const [one, other] = [bitmapOf(chunks), bitmapOf(chunks)];
      setBit(one, a % chunks);
      setBit(other, b % chunks);
      const both = union(one, other);
      for (let index = 0; index < chunks; index++) {
        assert.ok(hasBit(fullBitmap(chunks), index));
        assert.equal(hasBit(both, index), index === a % chunks || index === b % chunks);
      }
    }),
  );
});

test('what is new are the chunks of one bitmap that are not in another', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.infiniteStream(fc.nat(255)), (before, bytes) => {
      const after = before.map(() => bytes.next().value as number);
      const found: number[] = [];
      eachNew(before, after, (index) => found.push(index));
      const expected = [...Array(before.length * 8).keys()].filter((at) => hasBit(after, at) && !hasBit(before, at));
      assert.deepEqual(found, expected);
    }),
  );
});
