import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Key } from 'interface-datastore';
import { openDatastore } from '../../../agent/swarm/datastore.ts';
import { temporaryDirectory } from './fixture.ts';

const bytes = (text: string) => Buffer.from(text);

async function keysOf(source: AsyncIterable<Key> | Iterable<Key>): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of source) keys.push(key.toString());
  return keys;
}

test('what is put is had again, also by the next run', async (t) => {
  const path = join(await temporaryDirectory(t), 'peers.sqlite');
  const first = openDatastore(path);
  await first.put(new Key('/peers/one'), bytes('1'));
  await first.put(new Key('/peers/one'), bytes('2'));
  first.close();
  const second = openDatastore(path);
  t.after(() => second.close());
  assert.deepEqual(Buffer.from(await second.get(new Key('/peers/one'))), bytes('2'));
  assert.equal(await second.has(new Key('/peers/two')), false);
  // libp2p looks at the name.
  await assert.rejects(async () => second.get(new Key('/peers/two')), { name: 'NotFoundError' });
});

test('a prefix gives its keys and no others, over many pages, and they may be deleted meanwhile', async (t) => {
  const store = openDatastore(undefined);
  t.after(() => store.close());
  for (let at = 0; at < 1_000; at++) await store.put(new Key(`/dht/provider/a/${at}`), bytes('x'));
  await store.put(new Key('/dht/provider/b/1'), bytes('x'));
  await store.put(new Key('/dht/provider'), bytes('x'));
  await store.put(new Key('/peers/1'), bytes('x'));
  assert.equal((await keysOf(store.queryKeys({ prefix: '/dht/provider/a' }))).length, 1_000);
  assert.deepEqual(await keysOf(store.queryKeys({ prefix: '/peers' })), ['/peers/1']);
  assert.equal((await keysOf(store.queryKeys({}))).length, 1_003);
  for await (const { key } of store.query({ prefix: '/dht/provider/a' })) await store.delete(key);
  assert.deepEqual(await keysOf(store.queryKeys({ prefix: '/dht/provider/' })), ['/dht/provider/b/1']);
});

test('a batch is written whole', async (t) => {
  const store = openDatastore(undefined);
  t.after(() => store.close());
  await store.put(new Key('/a'), bytes('1'));
  const batch = store.batch();
  batch.put(new Key('/b'), bytes('2'));
  batch.delete(new Key('/a'));
  await batch.commit();
  assert.deepEqual(await keysOf(store.queryKeys({})), ['/b']);
});

test('a place that cannot be written is STORE_UNWRITABLE', () => {
  assert.throws(() => openDatastore('/proc/none/peers.sqlite'), { code: 'STORE_UNWRITABLE' });
});
