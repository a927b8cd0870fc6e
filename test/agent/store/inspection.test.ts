import assert from 'node:assert/strict';
import { rm, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { layoutAt } from '../../../agent/store/layout.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { collect, content, digestOfBytes, hold, never } from './compliance.ts';
import { flip, type Place, place } from './support.ts';

const MIB = 1024 * 1024;
const unpaced = () => undefined;

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

test('all that is held is found page by page, with what is known of it', async () => {
  const store = await at.open();
  const digests: Digest[] = [];
  for (let index = 0; index < 5; index++) digests.push(await hold(store, content(`page ${index}`, 100 + index)));
  const manifest = digestOfBytes(Buffer.from('{}'));
  store.keepPrivate(manifest, 'docker.io');
  await store.put(manifest, Buffer.from('{}'), 'a/manifest');
  store.pin('image', [digests[2]!]);
  const found = [];
  for (let after: Digest | undefined; ; ) {
    const page = store.inspection.blobs(after, 4);
    assert.ok(page.length <= 4);
    found.push(...page);
    after = page.at(-1)?.digest;
    if (after === undefined) break;
  }
  assert.deepEqual(
    found.map(({ digest }) => digest),
    [...digests, manifest].sort(),
  );
  assert.deepEqual(
    found.filter(({ isPinned }) => isPinned).map(({ digest }) => digest),
    [digests[2]],
  );
  assert.deepEqual(
    found.filter(({ isPrivate }) => isPrivate).map(({ digest }) => digest),
    [manifest],
  );
  assert.deepEqual(
    store.inspection.manifests(undefined, 10).map(({ digest }) => digest),
    [manifest],
  );
  assert.deepEqual(store.inspection.manifests(manifest, 10), []);
  assert.equal(store.inspection.blob(digests[3]!)?.size, 103);
  await store.remove(digests[3]!);
  assert.equal(store.inspection.blob(digests[3]!), undefined);
  await store.close();
  assert.deepEqual(store.inspection.blobs(undefined, 10), []);
});

test('what was checked longest ago comes first, and a check takes it to the end', async () => {
  let now = 1000;
  const store = await at.open({}, { now: () => now });
  const digests: Digest[] = [];
  for (let index = 0; index < 3; index++) {
    digests.push(await hold(store, content(`checked ${index}`, MIB)));
    now += 1000;
  }
  const order = (until: number) => store.inspection.checkedUntil(until, undefined, 10).map(({ digest }) => digest);
  assert.deepEqual(order(now), digests);
  assert.deepEqual(order(2500), digests.slice(0, 2));
  const [first] = store.inspection.checkedUntil(now, undefined, 1);
  assert.deepEqual(
    store.inspection.checkedUntil(now, first, 10).map(({ digest }) => digest),
    digests.slice(1),
  );
  assert.equal(await store.inspection.check(digests[0]!, unpaced, never), 'good');
  assert.deepEqual(order(now), [digests[1], digests[2], digests[0]]);
});

test('looking, reading and checking are no use: who was used longest ago stays so', async () => {
  const store = await at.open({ recheck: 0 });
  const old = await hold(store, content('old', 3 * MIB));
  const young = await hold(store, content('young', 10));
  const order = () => [...store.inspection.blobs(undefined, 10)].sort((a, b) => a.lastUsed - b.lastUsed);
  const before = order();
  assert.deepEqual(
    before.map(({ digest }) => digest),
    [old, young],
  );
  store.inspection.blob(old);
  assert.deepEqual(await store.inspection.bytes(old, 3 * MIB, never), content('old', 3 * MIB));
  assert.equal(await store.inspection.bytes(old, 3 * MIB - 1, never), undefined);
  assert.equal(await store.inspection.check(old, unpaced, never), 'good');
  assert.deepEqual(
    order().map(({ digest, lastUsed }) => [digest, lastUsed]),
    before.map(({ digest, lastUsed }) => [digest, lastUsed]),
  );
  store.find(old);
  assert.deepEqual(
    order().map(({ digest }) => digest),
    [young, old],
  );
});

test('a check matches every byte, as fast as it is let, though none is due', async () => {
  const store = await at.open({ recheck: 1e12 });
  const digest = await hold(store, content('paced', 9 * MIB));
  let read = 0;
  const pace = async (bytes: number) => {
    read += bytes;
  };
  assert.equal(await store.inspection.check(digest, pace, never), 'good');
  assert.equal(read, 9 * MIB);
  assert.equal(await store.inspection.check(digestOfBytes(Buffer.from('none')), pace, never), 'gone');
  const stop = new AbortController();
  const stopped = store.inspection.check(digest, async () => stop.abort(new Error('enough')), stop.signal);
  await assert.rejects(stopped, /enough/);
  assert.equal(store.inspection.blob(digest)?.digest, digest);
});

test('rot is dropped and told of, of private blobs too, and what is good of it is kept', async () => {
  const store = await at.open({ recheck: 1e12 });
  const bytes = content('rotten', 9 * MIB);
  const digest = digestOfBytes(bytes);
  store.keepPrivate(digest, 'docker.io');
  await hold(store, bytes);
  const told: unknown[] = [];
  const end = store.onRot((...found) => told.push(found));
  await flip(at.path, digest, 5 * MIB);
  assert.equal(await store.inspection.check(digest, unpaced, never), 'rotten');
  assert.deepEqual(told, [[digest, null]]);
  assert.equal(store.inspection.blob(digest), undefined);
  assert.equal(await store.inspection.bytes(digest, 9 * MIB, never), undefined);
  const partial = await store.openPartial(digest, 9 * MIB, never);
  assert.equal(partial.marked, partial.layout.count - 1);
  await partial.discard();
  end();
  const other = await hold(store, content('other', 10));
  await flip(at.path, other, 0);
  assert.equal(await store.inspection.check(other, unpaced, never), 'rotten');
  assert.equal(told.length, 1);
});

test('a file that looks otherwise than it did is seen without reading it', async () => {
  const store = await at.open();
  const digests = [await hold(store, content('same', 10)), await hold(store, content('moved', 10))];
  const gone = await hold(store, content('gone', 10));
  const path = layoutAt(at.path).blob(digests[1]!);
  await utimes(path, 1, 1);
  await rm(layoutAt(at.path).blob(gone));
  assert.deepEqual(await Promise.all([...digests, gone].map((digest) => store.inspection.isTouched(digest))), [
    false,
    true,
    true,
  ]);
  assert.equal(await store.inspection.check(digests[1]!, unpaced, never), 'good');
  assert.equal(await store.inspection.isTouched(digests[1]!), false);
  assert.equal(await store.inspection.isTouched(digestOfBytes(Buffer.from('none'))), false);
});

test('it is busy while something is stored or a client reads, and not while it is only looked at', async () => {
  const store = await at.open({ recheck: 0 });
  const digest = await hold(store, content('busy', 3 * MIB));
  assert.equal(store.inspection.isBusy(), false);
  const seen: boolean[] = [];
  const pace = async () => void seen.push(store.inspection.isBusy());
  await store.inspection.check(digest, pace, never);
  assert.ok(seen.length > 0 && seen.every((isBusy) => !isBusy));
  const reading = store.read(digest, 0, 3 * MIB, never)[Symbol.asyncIterator]();
  await reading.next();
  assert.equal(store.inspection.isBusy(), true);
  await reading.return?.();
  assert.equal(store.inspection.isBusy(), false);
  const partial = await store.openPartial(digestOfBytes(Buffer.from('to come')), 7, never);
  assert.equal(store.inspection.isBusy(), true);
  await partial.close();
  assert.equal(store.inspection.isBusy(), false);
  assert.equal((await collect(store.read(digest, 0, 10, never))).length, 10);
});

test('tags are listed by name, page by page', async () => {
  const store = await at.open();
  const tag = (repository: string, name: string) => ({ registry: 'docker.io', repository, tag: name });
  const record = {
    ...{ accept: '*/*', digest: digestOfBytes(Buffer.from('tag')), mediaType: 'a/b' },
    ...{ size: 1, etag: null, checkedAt: 1 },
  };
  const names = [tag('a', 'v1'), tag('a', 'v2'), tag('b', 'v1')];
  for (const name of [...names].reverse()) store.tags.put(name, record);
  store.tags.put(names[0]!, { ...record, accept: 'a/b' });
  assert.deepEqual(store.tags.page(undefined, 2), names.slice(0, 2));
  assert.deepEqual(store.tags.page(names[1], 2), names.slice(2));
  assert.deepEqual(store.tags.page(names[2], 2), []);
});
