import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { isAgentError } from '../../../agent/errors.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { PARTIAL_LIFETIME } from '../../../agent/store/old-partials.ts';
import { hexOf } from '../../../protocol/digest.ts';
import { bring, collect, content, digestOfBytes, hold, never } from './compliance.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;
let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

test('other tools read the directory as an OCI image layout', async () => {
  const store = await at.open();
  const bytes = content('layout', MIB + 1);
  const digest = await hold(store, bytes);
  assert.deepEqual(JSON.parse(await readFile(join(at.path, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
  assert.deepEqual(JSON.parse(await readFile(join(at.path, 'index.json'), 'utf8')), {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [],
  });
  assert.ok(bytes.equals(await readFile(join(at.path, 'blobs', 'sha256', hexOf(digest)))));
});

test('one agent a store, also within a process; closed, it is free', async () => {
  const first = await at.open();
  await assert.rejects(at.open(), (error) => isAgentError(error, 'STORE_IN_USE') && !error.message.includes('\n'));
  await first.close();
  await first.close();
  assert.equal(first.find(digestOfBytes(Buffer.from('x'))), undefined);
  await assert.rejects(first.put(digestOfBytes(Buffer.from('x')), Buffer.from('x'), null), (e) =>
    isAgentError(e, 'DRAINING'),
  );
  await at.open();
});

test('a directory that cannot be made is one clear line', async () => {
  await writeFile(join(at.path, 'file'), '');
  await assert.rejects(at.open({ path: join(at.path, 'file', 'store') }), (error) => {
    return isAgentError(error, 'STORE_UNWRITABLE') && !error.message.includes('\n');
  });
});

test('what is held is held after a restart, with media type, map, order of use and sizes', async () => {
  const first = await at.open();
  const blob = await hold(first, content('restart', 2 * MIB));
  const manifest = Buffer.from('{}');
  await first.put(digestOfBytes(manifest), manifest, 'a/manifest');
  const other = digestOfBytes(Buffer.from('other'));
  first.rememberDescriptors([{ digest: other, size: 42 }]);
  await collect(first.read(blob, 0, 1, never));
  const described = first.held(blob);
  const map = first.chunkMapOf(blob);
  await first.close();
  const second = await at.open();
  assert.deepEqual(second.held(blob), described);
  assert.deepEqual(second.chunkMapOf(blob), map);
  assert.deepEqual(second.recent(9), [blob, digestOfBytes(manifest)]);
  assert.equal(second.find(digestOfBytes(manifest))?.mediaType, 'a/manifest');
  assert.equal(second.sizeOf(other), 42);
  assert.deepEqual(second.totals(), { blobs: 2, bytes: 2 * MIB + 2 });
});

test('at start a row without its file is dropped, a file without a row or journal removed', async () => {
  const layout = layoutAt(at.path);
  const first = await at.open();
  const gone = await hold(first, content('gone', MIB));
  const kept = await hold(first, content('kept', MIB));
  await first.close();
  await rm(layout.blob(gone));
  const foreign = digestOfBytes(Buffer.from('foreign'));
  await writeFile(layout.blob(foreign), 'something');
  await writeFile(join(layout.blobs('sha256'), 'README'), 'not ours');
  await writeFile(join(layout.tmp, 'left'), 'over');
  const second = await at.open();
  await second.inOrder;
  assert.equal(second.find(gone), undefined);
  assert.deepEqual(second.totals(), { blobs: 1, bytes: MIB });
  assert.deepEqual((await readdir(layout.blobs('sha256'))).sort(), [hexOf(kept), 'README'].sort());
  assert.deepEqual(await readdir(layout.tmp), []);
});

test('partials are removed when nobody touched them for a day', async () => {
  const layout = layoutAt(at.path);
  const bytes = content('old', 2 * MIB);
  const digests = [bytes, bytes.subarray(1)].map((each) => digestOfBytes(each));
  const first = await at.open();
  for (const digest of digests) {
    const partial = await first.openPartial(digest, bytes.length, never);
    await bring(partial, bytes, [0]);
  }
  await first.close();
  const old = (Date.now() - PARTIAL_LIFETIME - 1000) / 1000;
  for (const path of [layout.partial(digests[0]!), layout.journal(digests[0]!)]) await utimes(path, old, old);
  await writeFile(layout.partial(digestOfBytes(Buffer.from('no journal'))), 'x');
  const second = await at.open();
  await second.inOrder;
  assert.equal((await readdir(layout.partials)).length, 2);
  const partial = await second.openPartial(digests[1]!, bytes.length, never);
  assert.equal(partial.marked, 1);
});

test('a broken index is put aside; one of a newer version is refused', async () => {
  const layout = layoutAt(at.path);
  const first = await at.open();
  await hold(first, content('index', MIB));
  await first.close();
  await truncate(layout.index, 0);
  await writeFile(layout.index, 'this is no database at all, however long one looks at it'.repeat(20));
  const second = await at.open();
  assert.deepEqual(second.totals(), { blobs: 0, bytes: 0 });
  await stat(`${layout.index}.broken`);
  await second.close();
  const database = new DatabaseSync(layout.index);
  database.exec('PRAGMA user_version = 1000');
  database.close();
  await assert.rejects(at.open(), (error) => isAgentError(error, 'STORE_UNWRITABLE') && /newer/.test(error.message));
});

test('where the kernel lets nobody make a directory, that is said at once', async () => {
  await assert.rejects(at.open({ path: '/proc/layerlan/store' }), (error) => isAgentError(error, 'STORE_UNWRITABLE'));
});

test('an existing directory with an unusable part is refused', async () => {
  const path = join(at.path, 'half');
  await mkdir(path);
  await writeFile(join(path, 'blobs'), '');
  await assert.rejects(at.open({ path }), (error) => isAgentError(error, 'STORE_UNWRITABLE'));
});

test('what is private is so after a restart', async () => {
  const bytes = content('private', 100);
  const digest = digestOfBytes(bytes);
  const before = await at.open();
  before.keepPrivate(digest, 'ghcr.io');
  await hold(before, bytes);
  await before.close();
  const store = await at.open();
  assert.equal(store.find(digest)?.size, 100);
  assert.equal(store.isPrivate(digest), true);
  assert.equal(store.privateOf(digest), 'ghcr.io');
  assert.equal(store.held(digest), undefined);
  assert.deepEqual(store.recent(10), []);
});
