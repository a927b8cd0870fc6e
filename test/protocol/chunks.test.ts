import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  chunkLength,
  chunkStart,
  isBlobSize,
  layoutOf,
  MAX_BLOB_SIZE,
  MAX_CHUNKS,
  MIN_CHUNK_SIZE,
} from '../../protocol/chunks.ts';

const GIB = 1024 ** 3;

test('a chunk is 1 MiB up to 16 GiB, and the next power of two above', () => {
  assert.equal(layoutOf(16 * GIB).chunkSize, MIN_CHUNK_SIZE);
  assert.equal(layoutOf(16 * GIB + 1).chunkSize, 2 * MIN_CHUNK_SIZE);
  assert.equal(layoutOf(33 * GIB).chunkSize, 4 * MIN_CHUNK_SIZE);
});

test('the empty blob has no chunk', () => {
  assert.deepEqual(layoutOf(0), { size: 0, chunkSize: MIN_CHUNK_SIZE, count: 0 });
});

test('what is no size is refused', () => {
  for (const size of [-1, 0.5, Number.NaN, MAX_BLOB_SIZE + 1, '5', undefined]) {
    assert.equal(isBlobSize(size), false);
    assert.throws(() => layoutOf(size as number), RangeError);
  }
});

test('chunks cover every blob without gap or overlap', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: MAX_BLOB_SIZE }), (size) => {
      const layout = layoutOf(size);
      const last = layout.count - 1;
      assert.ok(layout.count <= MAX_CHUNKS);
      assert.equal(chunkStart(layout, last) + chunkLength(layout, last), size);
      assert.ok(chunkLength(layout, last) > 0 && chunkLength(layout, last) <= layout.chunkSize);
      if (last > 0) assert.equal(chunkLength(layout, 0), layout.chunkSize);
    }),
  );
});
