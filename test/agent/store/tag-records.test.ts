import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { TagRecords as Port } from '../../../agent/fetch/tags/ports.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { TAG_BOUNDS, TagRecords } from '../../../agent/store/tag-records.ts';
import { BOUNDS, recordsComply } from '../fetch/tags/compliance.ts';
import { tagRecord } from '../fetch/tags/records.ts';
import { content, hold } from './compliance.ts';
import { indexAlone, type Place, place, quiet } from './support.ts';

describe('on disk', () => {
  recordsComply(async () => {
    const { index, close } = await indexAlone();
    return { records: new TagRecords(index.tags, quiet, BOUNDS), close };
  });
});

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

const latest = { registry: 'docker.io', repository: 'library/app', tag: 'latest' };

test('what is remembered outlasts a restart; a closed store remembers nothing', async () => {
  const first = await at.open();
  const record = tagRecord({ checkedAt: 5 });
  first.tags.put(latest, record);
  await first.close();
  first.tags.put(latest, tagRecord({ checkedAt: 6 }));
  assert.deepEqual(first.tags.find(latest), []);
  const second = await at.open();
  assert.deepEqual(second.tags.find(latest), [record]);
});

test('the store’s records are what fetch asks for, and bounded', async () => {
  const records: Port = (await at.open()).tags;
  for (let number = 0; number <= TAG_BOUNDS.variants; number++) {
    records.put(latest, tagRecord({ accept: `a/${number}`, checkedAt: number }));
  }
  assert.equal(records.find(latest).length, TAG_BOUNDS.variants);
});

test('a store of before there were tags is taken over with all that it holds', async () => {
  const first = await at.open();
  const digest = await hold(first, content('kept', 10));
  await first.close();
  const database = new DatabaseSync(layoutAt(at.path).index);
  database.exec(
    'DROP INDEX blob_checked_at; DROP INDEX blob_manifest; DROP TABLE pin; DROP TABLE tag; DROP TABLE private; DROP TABLE standing; PRAGMA user_version = 1;',
  );
  database.close();
  const second = await at.open();
  assert.equal(second.find(digest)?.size, 10);
  second.tags.put(latest, tagRecord());
  assert.equal(second.tags.find(latest).length, 1);
});

test('while the index cannot be written, as on a full disk, what is known is found and nothing throws', async () => {
  const store = await at.open();
  const record = tagRecord();
  store.tags.put(latest, record);
  const jam = new DatabaseSync(layoutAt(at.path).index);
  jam.exec('BEGIN IMMEDIATE');
  store.tags.put(latest, tagRecord({ size: 7 }));
  store.tags.drop(latest, record.accept);
  assert.deepEqual(store.tags.find(latest), [record]);
  jam.close();
  store.tags.drop(latest, record.accept);
  assert.deepEqual(store.tags.find(latest), []);
});
