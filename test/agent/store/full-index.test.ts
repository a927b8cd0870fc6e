import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { layoutAt } from '../../../agent/store/layout.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { bring, collect, content, digestOfBytes, hold, never } from './compliance.ts';
import { flip, type Place, place } from './support.ts';

const MIB = 1024 * 1024;
let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

/** Another connection that holds the index's write lock: every write of the store's fails, as on a full disk. */
function jam(path: string): DatabaseSync {
  const database = new DatabaseSync(layoutAt(path).index);
  database.exec('BEGIN IMMEDIATE');
  return database;
}

test('while the index cannot be written: commits fail and lose nothing, rot is dropped all the same', async () => {
  const layout = layoutAt(at.path);
  const store = await at.open();
  const held = await hold(store, content('held', MIB));
  const bytes = content('coming', 2 * MIB);
  const digest = digestOfBytes(bytes);
  const partial = await store.openPartial(digest, bytes.length, never);
  await bring(partial, bytes, [0, 1]);
  await flip(at.path, held, 9);

  const jammed = jam(at.path);
  await assert.rejects(partial.commit(null));
  assert.equal(store.find(digest), undefined);
  await assert.rejects(access(layout.blob(digest)));
  const small = Buffer.from('small');
  await assert.rejects(store.put(digestOfBytes(small), small, null));
  await assert.rejects(access(layout.blob(digestOfBytes(small))));
  assert.equal(await store.chunk(held, 0, never), undefined);
  assert.equal(store.find(held), undefined);
  assert.equal(store.held(held), undefined);
  assert.equal(store.chunkMapOf(held), undefined);
  assert.deepEqual(store.recent(9), []);
  store.rememberDescriptors([{ digest: held, size: 1 }]);
  jammed.close();

  await partial.commit(null);
  assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
  await hold(store, content('held', MIB));
  assert.deepEqual(store.totals(), { blobs: 2, bytes: 3 * MIB });
  assert.notEqual(store.find(held), undefined);
});

test('while the index cannot be written: what was used longest ago makes room all the same', async () => {
  const maxSize = 16 * MIB;
  const store = await at.open({ maxSize });
  const blobs = Array.from({ length: 3 }, (_, index) => content(`room ${index}`, 3 * MIB));
  const digests: Digest[] = [];
  for (const bytes of blobs) digests.push(await hold(store, bytes));
  const bytes = content('coming', 3 * MIB);
  const jammed = jam(at.path);
  const partial = await store.openPartial(digestOfBytes(bytes), bytes.length, never);
  assert.deepEqual(
    digests.map((digest) => store.held(digest) !== undefined),
    [false, true, true],
  );
  await assert.rejects(access(layoutAt(at.path).blob(digests[0]!)));
  assert.deepEqual(store.totals(), { blobs: 2, bytes: 6 * MIB });
  jammed.close();
  await bring(partial, bytes, [0, 1, 2]);
  await partial.commit(null);
  await store.remove(digests[1]!);
  await store.close();
  const again = await at.open({ maxSize });
  assert.deepEqual(again.totals(), { blobs: 2, bytes: 6 * MIB });
  assert.equal(again.usage().blobs, 6 * MIB);
});
