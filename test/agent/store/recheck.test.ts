import assert from 'node:assert/strict';
import { readFile, rm, truncate, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { isAgentError } from '../../../agent/errors.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { isDue, Passes } from '../../../agent/store/recheck.ts';
import { bring, collect, content, digestOfBytes, hold, never } from './compliance.ts';
import { flip, type Place, place } from './support.ts';

const MIB = 1024 * 1024;
const DAY = 24 * 60 * 60 * 1000;
const bytes = content('recheck', 3 * MIB + 10);
const rotten = (error: unknown) => isAgentError(error, 'BLOB_ROTTEN');

let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

test('due by looks and by time, a clock set back included', () => {
  const stamp = { inode: 1n, size: 2n, ctime: 3n, mtime: 4n };
  const record = { digest: digestOfBytes(bytes), size: 2, mediaType: null, root: '', stamp, checkedAt: 10 * DAY };
  assert.equal(isDue(record, stamp, 10 * DAY, DAY), false);
  assert.equal(isDue(record, stamp, 11 * DAY - 1, DAY), false);
  assert.equal(isDue(record, stamp, 11 * DAY, DAY), true);
  assert.equal(isDue(record, stamp, 8 * DAY, DAY), true);
  for (const field of ['inode', 'size', 'ctime', 'mtime'] as const) {
    assert.equal(isDue(record, { ...stamp, [field]: 99n }, 10 * DAY, DAY), true, field);
  }
});

test('passes are shared, begin anew with a changed file, and are bounded', () => {
  const passes = new Passes();
  const stamp = { inode: 1n, size: 2n, ctime: 3n, mtime: 4n };
  const digest = digestOfBytes(bytes);
  const pass = passes.of(digest, stamp, 0, DAY, 2);
  assert.equal(pass.markGood(1), false);
  assert.equal(pass.markGood(1), false);
  assert.equal(passes.of(digest, stamp, 1, DAY, 2), pass);
  assert.equal(pass.markGood(0), true);
  assert.notEqual(passes.of(digest, { ...stamp, ctime: 4n }, 1, DAY, 2), pass);
  const kept = passes.of(digest, stamp, 2, DAY, 2);
  for (let index = 0; index < 300; index++)
    passes.of(digestOfBytes(Buffer.from([index, index >> 8])), stamp, 2, DAY, 1);
  assert.notEqual(passes.of(digest, stamp, 2, DAY, 2), kept);
});

test('after a pass the record is fresh, until the interval has passed again', async () => {
  let time = Date.now();
  const store = await at.open({ recheck: DAY }, { now: () => time });
  const digest = await hold(store, bytes);
  const file = layoutAt(at.path).blob(digest);
  const read = () => collect(store.read(digest, 0, bytes.length, never));
  // Touched, not changed: checked once, in parts, by a client and peers together.
  await utimes(file, 1, 1);
  await collect(store.read(digest, 0, MIB + 1, never));
  for (const index of [2, 3]) await store.chunk(digest, index, never);
  // Fresh by now: what the index has is what the file looks like.
  await store.close();
  const again = await at.open({ recheck: DAY }, { now: () => time });
  assert.ok(bytes.equals(await collect(again.read(digest, 0, bytes.length, never))));
  time += DAY;
  await flip(at.path, digest, 5);
  await assert.rejects(collect(again.read(digest, 0, 1, never)), rotten);
  await assert.rejects(read(), (error) => isAgentError(error, 'DRAINING'));
});

test('a file that was cut, grew or vanished is rotten; what is good is kept', async () => {
  const metrics = createMetrics();
  const store = await at.open({}, { metrics });
  const digest = await hold(store, bytes);
  const file = layoutAt(at.path).blob(digest);
  for (const [size, good] of [
    [2 * MIB + 3, 2],
    [bytes.length + 9, 4],
  ] as const) {
    await truncate(file, size);
    await assert.rejects(collect(store.read(digest, 0, 1, never)), rotten);
    const partial = await store.openPartial(digest, bytes.length, never);
    assert.equal(partial.marked, good);
    await bring(partial, bytes, [2, 3].slice(good - 2));
    await partial.commit(null);
    assert.ok(bytes.equals(await readFile(file)));
  }
  await rm(file);
  assert.equal(await store.chunk(digest, 0, never), undefined);
  assert.equal(store.find(digest), undefined);
  const partial = await store.openPartial(digest, bytes.length, never);
  assert.equal(partial.marked, 0);
  await partial.discard();
  const refused = await metrics.refusedChunks.get();
  assert.equal(refused.values[0]?.value, 3);
  assert.equal((await metrics.blobs.get()).values[0]?.value, 0);
});

test('whoever reads a blob that another finds rotten yields no further byte of it', async () => {
  const store = await at.open();
  const digest = await hold(store, bytes);
  // Opened while all looked well: it would not check.
  const reading = store.read(digest, 0, bytes.length, never)[Symbol.asyncIterator]();
  const first = (await reading.next()).value as Uint8Array;
  assert.ok(bytes.subarray(0, first.length).equals(first));
  await flip(at.path, digest, 3 * MIB);
  assert.equal(await store.chunk(digest, 3, never), undefined);
  const partial = await store.openPartial(digest, bytes.length, never);
  await assert.rejects(reading.next(), rotten);
  assert.equal(partial.marked, 3);
  await partial.discard();
});

test('two find the same rot at once: it is dropped once, and the next partial waits for what is kept', async () => {
  const store = await at.open({ recheck: 0 });
  const digest = await hold(store, bytes);
  const dropped: string[] = [];
  store.onDrop((each) => dropped.push(each));
  await flip(at.path, digest, 0);
  const readers = [0, 1, 2].map(() => collect(store.read(digest, 0, 10, never)));
  for (const reader of await Promise.allSettled(readers)) assert.equal(reader.status, 'rejected');
  assert.deepEqual(dropped, [digest]);
  const partial = await store.openPartial(digest, bytes.length, never);
  assert.equal(partial.marked, 3);
  await partial.close();
});

test('a chunk is checked where it is read to, in memory that threads share too', async () => {
  const store = await at.open({ recheck: 0 });
  const digest = await hold(store, bytes);
  const room = Buffer.from(new SharedArrayBuffer(MIB));
  const chunk = await store.chunk(digest, 1, never, room);
  assert.ok(chunk !== undefined && Buffer.from(chunk).equals(bytes.subarray(MIB, 2 * MIB)));
  assert.equal(chunk.buffer, room.buffer, 'without a copy');
  await flip(at.path, digest, 2 * MIB + 5);
  assert.equal(await store.chunk(digest, 2, never, room), undefined, 'what is rotten does not leave');
});
