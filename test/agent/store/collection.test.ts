import assert from 'node:assert/strict';
import { access, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { type Files, systemFiles } from '../../../agent/store/files.ts';
import type { DiskStore } from '../../../agent/store/index.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { bring, content, digestOfBytes, hold, never } from './compliance.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;
const DAY = 24 * 60 * 60 * 1000;

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

/** Blobs of 1 MiB, the one used longest ago first. */
async function filled(store: DiskStore, count: number): Promise<Digest[]> {
  const digests: Digest[] = [];
  for (let index = 0; index < count; index++) digests.push(await hold(store, content(`filled ${index}`, MIB)));
  return digests;
}

async function collected(store: DiskStore, to: number): Promise<Digest[]> {
  const gone: Digest[] = [];
  for await (const batch of store.collection.collect(to, never)) gone.push(...batch.map(({ digest }) => digest));
  return gone;
}

/** What is left of a blob of which one chunk came. */
async function leftover(store: DiskStore, seed: string): Promise<Digest> {
  const bytes = content(seed, 9 * MIB);
  const partial = await store.openPartial(digestOfBytes(bytes), bytes.length, never);
  await bring(partial, bytes, [0]);
  await partial.close();
  return partial.digest;
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

test('what was used longest ago goes until it takes no more than it should; what is pinned or read stays', async () => {
  const store = await at.open();
  const digests = await filled(store, 6);
  store.pin('image', [digests[0]!]);
  store.find(digests[2]!);
  const reading = store.read(digests[1]!, 0, MIB, never)[Symbol.asyncIterator]();
  await reading.next();
  const to = store.collection.used - 2 * MIB;
  const plan = store.collection.plan(to).map(({ digest }) => digest);
  assert.deepEqual(plan, [digests[3], digests[4]], 'the second is used, by being read');
  assert.equal(store.totals().blobs, 6, 'a plan lets nothing go');
  assert.deepEqual(await collected(store, to), plan);
  assert.ok(store.collection.used <= to);
  for (const digest of plan) assert.equal(await isThere(layoutAt(at.path).blob(digest)), false);
  assert.deepEqual(await collected(store, to), []);
  assert.deepEqual((await collected(store, 0)).sort(), [digests[2]!, digests[5]!].sort());
  await reading.return?.();
  assert.deepEqual(await collected(store, 0), [digests[1]]);
  assert.equal(store.totals().blobs, 1);
});

test('what the bounds allow is the least of the two, and old partials go whatever it is', async () => {
  let now = Date.now();
  const bavail = (100 * MIB) / 4096;
  const statfs = async () => ({ bsize: 4096, blocks: 2 * bavail, bavail });
  const store = await at.open(
    { maxSize: 50 * MIB, minFree: 80 * MIB },
    { now: () => now, files: { ...systemFiles, statfs } },
  );
  await filled(store, 2);
  assert.equal(await store.collection.allowed(), store.collection.used + 20 * MIB);
  const old = await leftover(store, 'old');
  for (const path of [layoutAt(at.path).partial(old), layoutAt(at.path).journal(old)]) {
    await utimes(path, (now - 2 * DAY) / 1000, (now - 2 * DAY) / 1000);
  }
  await store.close();
  // A start removes those that are old by then.
  now -= 2 * DAY;
  const again = await at.open({ maxSize: 50 * MIB }, { now: () => now, files: { ...systemFiles, statfs } });
  const young = await leftover(again, 'young');
  now += 2 * DAY;
  assert.deepEqual(
    again.collection.plan(await again.collection.allowed()).map(({ digest, kind }) => [digest, kind]),
    [[old, 'partial']],
  );
  assert.equal(await again.collection.allowed(), 50 * MIB);
  assert.deepEqual(await collected(again, 50 * MIB), [old]);
  assert.equal(await isThere(layoutAt(at.path).partial(old)), false);
  assert.equal(await isThere(layoutAt(at.path).partial(young)), true);
});

test('a blob, or what is left of one, is removed by its digest', async () => {
  const store = await at.open();
  const [digest] = await filled(store, 1);
  assert.equal(await store.collection.remove(digest!), MIB);
  assert.equal(await store.collection.remove(digest!), 0);
  const half = await leftover(store, 'half');
  assert.ok((await store.collection.remove(half)) > 0);
  assert.equal(await isThere(layoutAt(at.path).partial(half)), false);
  assert.equal(await isThere(layoutAt(at.path).journal(half)), false);
});

test('an old partial that is pinned, or that somebody is just opening, stays', async () => {
  let now = Date.now();
  const gate = Promise.withResolvers<void>();
  let isShut = false;
  const asked = Promise.withResolvers<void>();
  const files: Files = {
    ...systemFiles,
    async statfs(path) {
      if (isShut) {
        asked.resolve();
        await gate.promise;
      }
      return await systemFiles.statfs(path);
    },
  };
  const store = await at.open({ maxSize: 100 * MIB }, { now: () => now, files });
  const pinned = await leftover(store, 'pinned');
  const wanted = await leftover(store, 'wanted');
  const nobodys = await leftover(store, 'nobodys');
  store.pin('image', [pinned]);
  now += 2 * DAY;
  isShut = true;
  const opening = store.openPartial(wanted, 9 * MIB, never);
  try {
    await asked.promise;
    assert.deepEqual(
      store.collection.plan(100 * MIB).map(({ digest }) => digest),
      [nobodys],
    );
    assert.deepEqual(await collected(store, 100 * MIB), [nobodys]);
    assert.equal(await store.collection.remove(wanted), 0);
  } finally {
    gate.resolve();
  }
  const partial = await opening;
  assert.equal(partial.marked, 1);
  await partial.close();
});

test('what cannot be removed is not told as gone, and is not tried without end', { timeout: 20_000 }, async () => {
  let now = Date.now();
  let isReadOnly = false;
  const files: Files = {
    ...systemFiles,
    async rm(path) {
      if (isReadOnly) throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS', errno: -30 });
      await systemFiles.rm(path);
    },
  };
  const store = await at.open({ maxSize: 100 * MIB }, { now: () => now, files });
  const [blob] = await filled(store, 1);
  const old = await leftover(store, 'old');
  now += 2 * DAY;
  isReadOnly = true;
  const before = store.collection.used;
  const gone: Digest[] = [];
  for await (const batch of store.collection.collect(0, AbortSignal.timeout(10_000))) {
    gone.push(...batch.map(({ digest }) => digest));
  }
  assert.deepEqual(gone, [blob], 'its row is gone, and its file goes with the next start');
  assert.equal(store.collection.used, before - MIB);
  await assert.rejects(store.collection.remove(old), { code: 'EROFS' });
  isReadOnly = false;
  assert.deepEqual(await collected(store, 100 * MIB), [old]);
});
