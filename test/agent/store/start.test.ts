import assert from 'node:assert/strict';
import { access, readdir, rename, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { layoutAt } from '../../../agent/store/layout.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { bring, collect, content, digestOfBytes, never } from './compliance.ts';
import { type Call, interceptedFiles } from './intercepted-files.ts';
import { makeTinyBlobs, TINY, tinyDigest } from './many-blobs.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;
const COUNT = 100_000;
const isLost = (number: number) => number % 1000 === 7;

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

/** The system's files, where nobody comes through to look at a blob, but that one, until `open` is called. */
function gate(but: Digest) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const looks: Call[] = [];
  let atOnce = 0;
  let most = 0;
  const layout = layoutAt(at.path);
  const directory = layout.blobs('sha256');
  const isLook = ({ kind, path }: Call) =>
    kind === 'readdir' ? path === directory : kind === 'stat' && path.startsWith(`${directory}/`);
  const files = interceptedFiles(async (call, go) => {
    if (!isLook(call) || call.path === layout.blob(but)) return await go();
    looks.push(call);
    most = Math.max(most, ++atOnce);
    await promise;
    try {
      return await go();
    } finally {
      atOnce--;
    }
  });
  return { files, looks, open: resolve, most: () => most };
}

/** A blob whose commit was cut short between rename and index. */
async function halfCommitted(seed: string): Promise<{ bytes: Buffer; digest: Digest }> {
  const bytes = content(seed, 2 * MIB + 3);
  const digest = digestOfBytes(bytes);
  const store = await at.open();
  const partial = await store.openPartial(digest, bytes.length, never);
  await bring(partial, bytes, [0, 1, 2]);
  await store.close();
  const layout = layoutAt(at.path);
  await rename(layout.partial(digest), layout.blob(digest));
  return { bytes, digest };
}

test('100,000 blobs: ready before any was looked at, and nothing is told of before it was', async () => {
  const layout = layoutAt(at.path);
  const wanted = await halfCommitted('wanted');
  const forgotten = await halfCommitted('forgotten');
  await makeTinyBlobs(at.path, COUNT, (number) => !isLost(number));
  const foreign = digestOfBytes(Buffer.from('foreign'));
  await writeFile(layout.blob(foreign), 'something');
  const passage = gate(wanted.digest);
  const store = await at.open({}, { files: passage.files });
  const told: string[] = [];
  store.onHold((digest) => told.push(digest));
  store.onDrop((digest) => told.push(digest));
  assert.ok(passage.looks.length <= 1, `${passage.looks.length} looks`);
  assert.deepEqual(store.totals(), { blobs: COUNT, bytes: COUNT * TINY });

  // On the spot.
  assert.equal(store.find(tinyDigest(COUNT - 1))?.size, TINY);
  assert.equal(store.held(tinyDigest(1))?.size, TINY);
  for (const number of [7, 1007]) {
    assert.equal(store.find(tinyDigest(number)), undefined);
    assert.equal(store.held(tinyDigest(number)), undefined);
    assert.equal(store.chunkMapOf(tinyDigest(number)), undefined);
    assert.equal(await store.chunk(tinyDigest(number), 0, never), undefined);
  }
  assert.deepEqual(store.totals(), { blobs: COUNT - 2, bytes: (COUNT - 2) * TINY });
  const recent = store.recent(2000);
  assert.equal(recent.length, 1998);
  assert.ok(!recent.includes(tinyDigest(98_007)) && !recent.includes(tinyDigest(99_007)));

  // Nor is what a crash left waited for: whoever wants it has it, while the reconciliation stands still.
  const partial = await store.openPartial(wanted.digest, wanted.bytes.length, never);
  assert.equal(partial.marked, 3);
  await partial.commit(null);
  assert.deepEqual(told, [wanted.digest]);
  assert.equal(passage.looks.length, 1);

  passage.open();
  await store.inOrder;
  assert.equal(passage.most(), 1);
  assert.deepEqual(told, [wanted.digest]);
  const kept = COUNT - COUNT / 1000;
  assert.deepEqual(store.totals(), { blobs: kept + 1, bytes: kept * TINY + wanted.bytes.length });
  assert.equal((await readdir(layout.blobs('sha256'))).length, kept + 1);
  await assert.rejects(access(layout.blob(foreign)));
  assert.equal((await store.openPartial(forgotten.digest, forgotten.bytes.length, never)).marked, 3);
  assert.ok(wanted.bytes.equals(await collect(store.read(wanted.digest, 0, wanted.bytes.length, never))));
});
