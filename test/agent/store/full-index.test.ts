import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { layoutAt } from '../../../agent/store/layout.ts';
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
