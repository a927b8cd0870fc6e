import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { StandingRecords as Port } from '../../../agent/fetch/privacy/ports.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { StandingRecords } from '../../../agent/store/standing-records.ts';
import { BOUND, standingsComply } from '../fetch/privacy/compliance.ts';
import { content, hold } from './compliance.ts';
import { indexAlone, type Place, place, quiet } from './support.ts';

describe('on disk', () => {
  standingsComply(async () => {
    const { index, close } = await indexAlone();
    return { records: new StandingRecords(index.standings, quiet, BOUND), close };
  });
});

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

const app = { registry: 'docker.io', name: 'library/app' };

test('what is remembered outlasts a restart; a closed store remembers nothing', async () => {
  const first = await at.open();
  const records: Port = first.standings;
  records.put(app, { said: 'public', checkedAt: 5 });
  await first.close();
  records.put(app, { said: 'denied', checkedAt: 6 });
  assert.equal(records.find(app), undefined);
  assert.deepEqual((await at.open()).standings.find(app), { said: 'public', checkedAt: 5 });
});

test('what was private before it was noted for which registry stays so, and none may say otherwise', async () => {
  const first = await at.open();
  const digest = await hold(first, content('private of old', 10));
  await first.close();
  const database = new DatabaseSync(layoutAt(at.path).index);
  database.exec(
    'DROP INDEX blob_checked_at; DROP INDEX blob_manifest; DROP TABLE pin; DROP TABLE standing; ALTER TABLE private DROP COLUMN registry; PRAGMA user_version = 3;',
  );
  database.prepare('INSERT INTO private VALUES (?)').run(digest);
  database.close();
  const second = await at.open();
  assert.equal(second.isPrivate(digest), true);
  assert.equal(second.privateOf(digest), undefined);
  second.keepPrivate(digest, 'ghcr.io');
  assert.equal(second.privateOf(digest), undefined);
});

test('while the index cannot be written, as on a full disk, what is known is found and nothing throws', async () => {
  const store = await at.open();
  store.standings.put(app, { said: 'public', checkedAt: 5 });
  const jam = new DatabaseSync(layoutAt(at.path).index);
  jam.exec('BEGIN IMMEDIATE');
  store.standings.put(app, { said: 'denied', checkedAt: 6 });
  assert.deepEqual(store.standings.find(app), { said: 'public', checkedAt: 5 });
  jam.close();
});
