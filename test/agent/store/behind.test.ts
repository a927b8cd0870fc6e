import assert from 'node:assert/strict';
import { access, readdir, rename, rm, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { isAgentError } from '../../../agent/errors.ts';
import type { DiskStore } from '../../../agent/store/index.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { PARTIAL_LIFETIME } from '../../../agent/store/old-partials.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { until } from '../../support/host.ts';
import { bring, content, digestOfBytes, hold, never } from './compliance.ts';
import { type Call, interceptedFiles } from './intercepted-files.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;

/**
 * Four large blobs are held and one comes: with index and directories, which take 5 MiB and what the file system gives
 * them, that is a blob and a half too much. So two have to go, whatever it gives, up to 3 MiB.
 */
const LARGE = 8 * MIB;
const COMING = 24 * MIB;
const TWO_TOO_MANY = 4 * LARGE + COMING + 5 * MIB - 1.5 * LARGE;
let at: Place;
/** Opens the gates of a test: a store that is closed waits for its pass. */
let opened = Promise.withResolvers<void>();
beforeEach(async () => {
  at = await place();
  opened = Promise.withResolvers();
});
afterEach(async () => {
  opened.resolve();
  await at.leave();
});

/** The system's files, where the pass over index and files waits at the first of these until `open` is called. */
function gate(digests: readonly Digest[]) {
  const { blob } = layoutAt(at.path);
  const paths = new Set(digests.map(blob));
  const files = interceptedFiles(async (call, go) => {
    if (call.kind === 'stat' && paths.has(call.path)) await opened.promise;
    return await go();
  });
  return { files, open: opened.resolve, blob };
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Blobs held by a store that was closed since; the one used longest ago first. */
async function heldBefore(count: number, size = 2 * MIB): Promise<Digest[]> {
  const store = await at.open();
  const digests: Digest[] = [];
  for (let index = 0; index < count; index++) digests.push(await hold(store, content(`behind ${index}`, size)));
  await store.close();
  return digests;
}

function assertNoneLeft(store: DiskStore): void {
  assert.deepEqual(store.totals(), { blobs: 0, bytes: 0 });
  assert.equal(store.usage().blobs, 0);
}

test('blobs that nobody has looked at yet make room like all others, once each, and nobody is told', async () => {
  const digests = await heldBefore(4, LARGE);
  const passage = gate(digests);
  // The second one's file was taken away meanwhile.
  await rm(passage.blob(digests[1]!));
  const store = await at.open({ maxSize: TWO_TOO_MANY }, { files: passage.files });
  const told: Digest[] = [];
  store.onDrop((digest) => told.push(digest));
  const bytes = content('coming', COMING);
  const partial = await store.openPartial(digestOfBytes(bytes), bytes.length, never);
  assert.deepEqual(
    digests.map((digest) => store.find(digest) !== undefined),
    [false, false, true, true],
  );
  assert.deepEqual(store.totals(), { blobs: 2, bytes: 2 * LARGE });
  passage.open();
  await store.inOrder;
  await until('the file is gone', async () => !(await isThere(passage.blob(digests[0]!))));
  assert.deepEqual(store.totals(), { blobs: 2, bytes: 2 * LARGE });
  assert.equal(store.usage().blobs, 2 * LARGE);
  assert.deepEqual(told, []);
  await partial.discard();
  for (const digest of digests.slice(2)) await store.remove(digest);
  // Who listens does hear of others.
  assert.deepEqual(told, digests.slice(2));
  assertNoneLeft(store);
});

test('a row whose file cannot be looked at makes room with its file', async () => {
  const digests = await heldBefore(4, LARGE);
  const passage = gate(digests);
  const sizeNow = (path: string) => {
    throw Object.assign(new Error(`EIO: ${path}`), { code: 'EIO', errno: -5, syscall: 'stat' });
  };
  const store = await at.open({ maxSize: TWO_TOO_MANY }, { files: { ...passage.files, sizeNow } });
  const bytes = content('coming', COMING);
  await (await store.openPartial(digestOfBytes(bytes), bytes.length, never)).discard();
  passage.open();
  await store.inOrder;
  await until('what went is gone', async () => !(await isThere(passage.blob(digests[1]!))));
  assert.equal(await isThere(passage.blob(digests[0]!)), false);
  assert.deepEqual(store.totals(), { blobs: 2, bytes: 2 * LARGE });
  assert.equal(store.usage().blobs, 2 * LARGE);
});

test('the account is right when index and files agree', async () => {
  const layout = layoutAt(at.path);
  const [gone, kept] = await heldBefore(2);
  const before = await at.open();
  const partials = [content('half', 2 * MIB), content('old', 2 * MIB), content('cut', 2 * MIB)];
  const [half, old, cut] = partials.map((bytes) => digestOfBytes(bytes)) as [Digest, Digest, Digest];
  for (const bytes of partials) await bring(await before.openPartial(digestOfBytes(bytes), 2 * MIB, never), bytes, [0]);
  await before.close();
  await rm(layout.blob(gone!));
  await rename(layout.partial(cut), layout.blob(cut));
  const long = (Date.now() - PARTIAL_LIFETIME - 1000) / 1000;
  for (const path of [layout.partial(old), layout.journal(old)]) await utimes(path, long, long);

  const store = await at.open();
  await store.inOrder;
  const { blobs, partials: left, leaving } = store.usage();
  assert.deepEqual([blobs, leaving], [2 * MIB, 0]);
  assert.equal((await readdir(layout.partials)).length, 4);
  assert.ok(left >= 2 * MIB && left < 2 * MIB + 64 * 1024, `${left}`);
  for (const digest of [half, cut]) await (await store.openPartial(digest, 2 * MIB, never)).discard();
  await store.remove(kept!);
  assertNoneLeft(store);
  assert.equal(store.usage().partials, 0);
});

test('what a crash left is counted once when it is taken up before its turn', async () => {
  const layout = layoutAt(at.path);
  const [first] = await heldBefore(1);
  const before = await at.open();
  const bytes = content('cut', 2 * MIB);
  const digest = digestOfBytes(bytes);
  await bring(await before.openPartial(digest, bytes.length, never), bytes, [0, 1]);
  await before.close();
  await rename(layout.partial(digest), layout.blob(digest));
  const passage = gate([first!]);
  const store = await at.open({}, { files: passage.files });
  const partial = await store.openPartial(digest, bytes.length, never);
  const { partials } = store.usage();
  assert.ok(partials >= 2 * MIB && partials < 2 * MIB + 64 * 1024, `${partials}`);
  await partial.commit(null);
  passage.open();
  await store.inOrder;
  assert.deepEqual([store.usage().blobs, store.usage().partials], [4 * MIB, 0]);
  await store.remove(digest);
  await store.remove(first!);
  assertNoneLeft(store);
});

const WRITES: readonly (Call['kind'] | 'statfs')[] = ['open', 'write', 'sync', 'rename', 'statfs'];

for (const kind of WRITES) {
  test(`a file call that fails shows in the state of the store: ${kind}`, async () => {
    let now = Date.now();
    let fails = false;
    const files = interceptedFiles(async (call, go) => {
      if (!fails || call.kind !== kind) return await go();
      throw Object.assign(new Error(`EIO: i/o error, ${kind}`), { code: 'EIO', errno: -5, syscall: kind });
    });
    const store = await at.open({}, { files, now: () => now });
    await store.inOrder;
    const bytes = content(kind, 1000);
    fails = true;
    const isFailure = (error: unknown) => isAgentError(error, 'STORE_FAILING') && /\(EIO\)/.test(error.message);
    await assert.rejects(store.put(digestOfBytes(bytes), bytes, null), isFailure);
    assert.deepEqual([store.state().state, store.state().code], ['failing', 'EIO']);
    fails = false;
    now += 5_000;
    await store.put(digestOfBytes(bytes), bytes, null);
    assert.equal(store.state().state, 'ok');
  });
}

test('a disk that was full for a moment: what comes next is stored, whatever its size', async () => {
  let now = Date.now();
  let fails = true;
  const files = interceptedFiles(async (call, go) => {
    if (!fails || call.kind !== 'write') return await go();
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC', errno: -28, syscall: 'write' });
  });
  fails = false;
  const store = await at.open({}, { files, now: () => now });
  const bytes = content('large', 3 * MIB);
  fails = true;
  await assert.rejects(store.put(digestOfBytes(bytes), bytes, null), (e) => isAgentError(e, 'STORE_FAILING'));
  fails = false;
  now += 5_000;
  await hold(store, bytes);
  assert.equal(store.state().state, 'ok');
});
