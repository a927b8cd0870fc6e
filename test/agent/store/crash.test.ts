import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isAgentError } from '../../../agent/errors.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { bring, collect, content, digestOfBytes, never } from './compliance.ts';
import { CRASH_SEED, CRASH_SIZE } from './crash-child.ts';
import { type Place, place } from './support.ts';

const CHILD = fileURLToPath(new URL('./crash-child.ts', import.meta.url));
const bytes = content(CRASH_SEED, CRASH_SIZE);
const digest = digestOfBytes(bytes);

let at: Place;
let child: ChildProcess | undefined;
beforeEach(async () => {
  at = await place();
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await at.leave();
});

function start(where: string): ChildProcess {
  child = spawn(process.execPath, [CHILD, where, at.path], { stdio: ['ignore', 'pipe', 'inherit'] });
  return child;
}

test('killed in mid-write: the lock is free, marked chunks are kept, the rest is not believed', async () => {
  const process = start('mid-write');
  await once(process.stdout!, 'data');
  await assert.rejects(at.open(), (error) => isAgentError(error, 'STORE_IN_USE'));
  process.kill('SIGKILL');
  await once(process, 'exit');
  const store = await at.open();
  assert.equal(store.find(digest), undefined);
  const partial = await store.openPartial(digest, bytes.length, never);
  assert.deepEqual(
    Array.from({ length: 7 }, (_, index) => partial.sourceOf(index)),
    [...Array(4).fill('upstream'), undefined, undefined, undefined],
  );
  await bring(partial, bytes, [6, 5, 4]);
  await partial.commit(null);
  assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
});

test('killed between rename and index: the next owner commits it without fetching anything', async () => {
  const process = start('mid-commit');
  const [, signal] = await once(process, 'exit');
  assert.equal(signal, 'SIGKILL');
  const layout = layoutAt(at.path);
  await access(layout.blob(digest));
  await access(layout.journal(digest));
  const store = await at.open();
  assert.equal(store.find(digest), undefined);
  await store.inOrder;
  assert.deepEqual(store.totals(), { blobs: 0, bytes: 0 });
  await assert.rejects(access(layout.blob(digest)));
  const partial = await store.openPartial(digest, bytes.length, never);
  assert.equal(partial.marked, 7);
  await partial.commit(null);
  assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
  assert.deepEqual(await readdir(layout.partials), []);
  assert.deepEqual(await readdir(join(at.path, 'tmp')), []);
});
