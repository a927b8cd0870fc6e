import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { createHashThread, type HashThread } from '../../../agent/store/hash-thread.ts';
import { WholeHash } from '../../../agent/store/whole-hash.ts';
import { content } from './compliance.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;
const bytes = content('whole', 20 * MIB + 3);
const sum = (end: number) => createHash('sha512').update(bytes.subarray(0, end)).digest('hex');
const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex');

let at: Place;
let handle: FileHandle;
let thread: HashThread;
beforeEach(async () => {
  at = await place();
  handle = await open(join(at.path, 'bytes'), 'w+');
  await handle.write(bytes);
  thread = createHashThread();
});
afterEach(async () => {
  await thread.close();
  await handle.close();
  await at.leave();
});

test('it follows what is final, and goes on after a sum', async () => {
  const whole = new WholeHash(thread, 'sha512', handle.fd);
  for (let end = MIB; end < 12 * MIB; end += MIB) whole.extend(end);
  assert.equal(hex(await whole.sum(12 * MIB)), sum(12 * MIB));
  assert.equal(hex(await whole.sum(bytes.length)), sum(bytes.length));
  await whole.close();
});

test('rewound, whether at rest or at work, it hashes what is there now', async () => {
  const whole = new WholeHash(thread, 'sha512', handle.fd);
  await handle.write(Buffer.from('wrong'), 0, 5, 5 * MIB);
  await whole.sum(bytes.length);
  whole.rewind(5 * MIB);
  await handle.write(bytes, 5 * MIB, 5, 5 * MIB);
  whole.extend(bytes.length);
  whole.rewind(MIB);
  assert.equal(hex(await whole.sum(bytes.length)), sum(bytes.length));
  await whole.close();
});

test('nothing of an empty blob', async () => {
  const whole = new WholeHash(thread, 'sha512', handle.fd);
  assert.equal(hex(await whole.sum(0)), sum(0));
  await whole.close();
});

test('a thread that dies loses its states: the hash starts over and nobody is blamed', async () => {
  const whole = new WholeHash(thread, 'sha512', handle.fd);
  assert.equal(hex(await whole.sum(10 * MIB)), sum(10 * MIB));
  await thread.close();
  assert.equal(hex(await whole.sum(bytes.length)), sum(bytes.length));
  // In mid-work too.
  whole.rewind(0);
  whole.extend(bytes.length);
  const summing = whole.sum(bytes.length);
  await thread.close();
  assert.equal(hex(await summing), sum(bytes.length));
  await whole.close();
});

test('closed, it reads no more by a descriptor that may be another file by then', async () => {
  const fed: number[] = [];
  const watched: HashThread = {
    feed: (state, algorithm, fd, start, end) => {
      fed.push(end);
      return thread.feed(state, algorithm, fd, start, end);
    },
    feedSummed: () => assert.fail('nobody asks for the sum of a stretch'),
    sum: (state, algorithm, end) => thread.sum(state, algorithm, end),
    drop: (state) => thread.drop(state),
    close: () => thread.close(),
  };
  const whole = new WholeHash(watched, 'sha512', handle.fd);
  whole.extend(MIB);
  const closing = whole.close();
  whole.extend(2 * MIB);
  await closing;
  whole.extend(3 * MIB);
  assert.deepEqual(fed, [MIB]);
});

test('a file that ends too early is an error, not a hash', async () => {
  const whole = new WholeHash(thread, 'sha512', handle.fd);
  await assert.rejects(whole.sum(bytes.length + 1), /ends/);
  await whole.close();
});
