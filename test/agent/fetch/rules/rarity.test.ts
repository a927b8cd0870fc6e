import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Rarity } from '../../../../agent/fetch/rules/rarity.ts';
import { bitmapOf, hasBit, setBit } from '../../../../protocol/bitmap.ts';

const COUNT = 20;
const marks = fc.array(fc.nat(COUNT - 1)).map((indexes) => {
  const bitmap = bitmapOf(COUNT);
  for (const index of indexes) setBit(bitmap, index);
  return bitmap;
});

test('the counts are those of what each has last', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), marks), { maxLength: 30 }), (changes) => {
      const rarity = new Rarity(COUNT);
      const last = Array.from({ length: 4 }, () => bitmapOf(COUNT));
      for (const [who, bitmap] of changes) {
        rarity.replace(last[who] as Uint8Array, bitmap);
        last[who] = bitmap;
      }
      const expected = [...Array(COUNT).keys()].map((index) => last.filter((each) => hasBit(each, index)).length);
      assert.deepEqual([...rarity.counts], expected);
    }),
  );
});
