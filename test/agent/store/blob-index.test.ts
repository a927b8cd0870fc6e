import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type BlobIndex, openIndex } from '../../../agent/store/blob-index.ts';
import { systemFiles } from '../../../agent/store/files.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { digestOfBytes } from './compliance.ts';
import { type Place, place, quiet } from './support.ts';

let at: Place;
let index: BlobIndex;
beforeEach(async () => {
  at = await place();
  index = await openIndex(systemFiles, layoutAt(at.path), quiet);
});
afterEach(async () => {
  await index.close();
  await at.leave();
});

const digest = (text: string) => digestOfBytes(Buffer.from(text));

test('nanoseconds and inodes come back as they went in', () => {
  const stamp = { inode: -5n, size: 2n ** 42n, ctime: 1_763_771_234_567_890_123n, mtime: 1_763_771_234_567_890_121n };
  const record = {
    digest: digest('a'),
    size: 2 ** 42,
    mediaType: null,
    root: 'ab',
    stamp,
    checkedAt: 1_763_771_234_567,
  };
  index.put(record, Uint8Array.of(1, 2), 7);
  assert.deepEqual(index.get(record.digest), record);
  assert.deepEqual(index.map(record.digest), Uint8Array.of(1, 2));
  assert.deepEqual(index.totals(), { blobs: 1, bytes: 2 ** 42, lastUsed: 7 });
  index.renew(record.digest, { ...stamp, inode: 9n }, 8);
  assert.deepEqual(index.get(record.digest), { ...record, stamp: { ...stamp, inode: 9n }, checkedAt: 8 });
  index.remove([record.digest]);
  assert.equal(index.get(record.digest), undefined);
  assert.equal(index.map(record.digest), undefined);
});

test('sizes are remembered up to a bound, the oldest forgotten first', () => {
  const names = Array.from({ length: 10 }, (_, at) => `d${at}`);
  index.describe(
    names.map((name, size) => ({ digest: digest(name), size })),
    10,
  );
  // Told again, it is young again.
  index.describe([{ digest: digest('d0'), size: 100 }], 10);
  index.describe([{ digest: digest('new'), size: 1 }], 10);
  assert.equal(index.described(digest('d0')), 100);
  assert.equal(index.described(digest('d1')), undefined);
  assert.equal(index.described(digest('d2')), 2);
  assert.equal(index.described(digest('new')), 1);
});
