import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { isAgentError } from '../../../agent/errors.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { content, hold } from './compliance.ts';
import { type Place, place } from './support.ts';

/** Of SQLite, and by default. Bytes. */
const PAGE = 4096;

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

/** An index of several pages, closed. @returns its size in pages */
async function indexOfSome(): Promise<number> {
  const store = await at.open();
  for (let count = 0; count < 40; count++) await hold(store, content(`damaged ${count}`, 1000));
  await store.close();
  return (await stat(layoutAt(at.path).index)).size / PAGE;
}

test('an index with any one damaged page is put aside or serves what is true', async () => {
  const path = layoutAt(at.path).index;
  const pages = await indexOfSome();
  assert.ok(pages > 4);
  const good = await readFile(path);
  let putAside = 0;
  for (let page = 0; page < pages; page++) {
    const damaged = Buffer.from(good);
    damaged.fill(0xa5, page * PAGE + 1, (page + 1) * PAGE - 1);
    await writeFile(path, damaged);
    const store = await at.open();
    if (store.totals().blobs === 0) putAside++;
    const digest = await hold(store, content('after', 5));
    assert.equal(store.find(digest)?.size, 5);
    await store.close();
  }
  assert.ok(putAside > 2, `${putAside} of ${pages}`);
});

test('an index whose tables are gone, or are there too early, is put aside', async () => {
  for (const sql of ['DROP TABLE chunk_map', 'PRAGMA user_version = 0']) {
    await indexOfSome();
    const database = new DatabaseSync(layoutAt(at.path).index);
    database.exec(sql);
    database.close();
    const store = await at.open();
    assert.deepEqual(store.totals(), { blobs: 0, bytes: 0 }, sql);
    await store.close();
  }
});

test('a damaged lock file is emptied, and locks again', async () => {
  const { lock } = layoutAt(at.path);
  const before = await at.open();
  await before.close();
  await writeFile(lock, Buffer.alloc(2 * PAGE, 0xa5));
  const first = await at.open();
  await assert.rejects(at.open(), (error) => isAgentError(error, 'STORE_IN_USE'));
  await first.close();
});
