import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { isAgentError } from '../../../agent/errors.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { bring, content, digestOfBytes, hold, never } from './compliance.ts';
import { type Place, place } from './support.ts';

const MIB = 1024 * 1024;
let at: Place;
beforeEach(async () => {
  at = await place();
});
afterEach(() => at.leave());

test('a disk that fails is told once, left alone for a while, and tried again', async () => {
  let now = 1_000_000;
  const lines: { level: number; msg: string }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const store = await at.open({}, { now: () => now, logger });
  await store.inOrder;
  const bytes = content('failing', 2 * MIB);
  const digest = digestOfBytes(bytes);
  assert.deepEqual(store.state(), { state: 'ok', since: now, code: null, reason: null });

  const { partials } = layoutAt(at.path);
  await rename(partials, `${partials}.away`);
  now += 10;
  const fails = (error: unknown) => isAgentError(error, 'STORE_FAILING') && /\(ENOENT\)/.test(error.message);
  await assert.rejects(store.openPartial(digest, bytes.length, never), fails);
  await rename(`${partials}.away`, partials);
  now += 10;
  await assert.rejects(store.openPartial(digest, bytes.length, never), fails, 'it is left alone');
  const small = Buffer.from('small');
  await assert.rejects(store.put(digestOfBytes(small), small, null), fails);
  const { state, since, code } = store.state();
  assert.deepEqual([state, since, code], ['failing', 1_000_010, 'ENOENT'], 'since it failed first');

  now += 5_000;
  await store.put(digestOfBytes(small), small, null);
  assert.equal(store.state().state, 'ok');
  await hold(store, bytes);
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['the store fails; what is pulled meanwhile is not kept', 'the store stores again'],
  );
});

test('a commit that cannot take its place says so, and loses nothing', async () => {
  const store = await at.open();
  const bytes = content('commit', 2 * MIB);
  const digest = digestOfBytes(bytes);
  const partial = await store.openPartial(digest, bytes.length, never);
  await bring(partial, bytes, [0, 1]);
  const directory = layoutAt(at.path).blobs('sha256');
  await rename(directory, `${directory}.away`);
  await assert.rejects(partial.commit(null), (error) => isAgentError(error, 'STORE_FAILING'));
  assert.equal(store.state().state, 'failing');
  await rename(`${directory}.away`, directory);
  await partial.commit(null);
  assert.equal(store.state().state, 'ok');
  assert.equal(store.find(digest)?.size, bytes.length);
});

test('what is wrong with the caller or the content is no failure of the disk', async () => {
  const store = await at.open();
  const bytes = content('caller', MIB);
  const partial = await store.openPartial(digestOfBytes(bytes), MIB, never);
  await assert.rejects(store.openPartial(digestOfBytes(bytes), MIB, never), /open already/);
  await assert.rejects(partial.write(MIB, bytes), RangeError);
  await assert.rejects(store.put(digestOfBytes(bytes), Buffer.from('other'), null), (error) =>
    isAgentError(error, 'DIGEST_MISMATCH'),
  );
  await assert.rejects(
    store.openPartial(digestOfBytes(Buffer.from('x')), 1, AbortSignal.abort(new Error('gone'))),
    /gone/,
  );
  assert.equal(store.state().state, 'ok');
  await partial.discard();
});

test('a store that is full now and then is told once in a while', async () => {
  let now = 1_000_000;
  const lines: { msg: string }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const store = await at.open({ maxSize: 16 * MIB }, { now: () => now, logger });
  const large = digestOfBytes(Buffer.from('large'));
  const again = async (text: string) => {
    await assert.rejects(store.openPartial(large, 20 * MIB, never), (error) => isAgentError(error, 'STORE_FULL'));
    assert.equal(store.state().state, 'full');
    await hold(store, Buffer.from(text));
    assert.equal(store.state().state, 'ok');
  };
  for (const text of ['a', 'b', 'c']) await again(text);
  assert.equal(lines.length, 2);
  now += 600_000;
  await again('d');
  assert.equal(lines.length, 4);
});
