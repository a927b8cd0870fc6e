import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, until } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';

const MIB = 1024 * 1024;

const lan = lanForEachTest();
const { host } = lan;

/** Blobs that `of` knows `other` to hold. */
async function blobs(of: Host, other: Host): Promise<number | null | undefined> {
  const { peers } = await of.agent.status();
  return peers.find(({ id }) => id === other.agent.peerId)?.blobs;
}

test('a host knows what its neighbours hold from the start, and of each blob as it comes', async () => {
  lan.upstream.addImage('library/app', { layers: [3 * MIB, 1000, 10] });
  const first = await host();
  assert.ok((await first.pull('library/app', 'latest')).matches);
  // Three layers, configuration and manifest.
  const second = await host();
  await until('the first’s blobs are known', async () => (await blobs(second, first)) === 5);
  assert.equal(await blobs(first, second), 0);

  lan.upstream.forget();
  assert.ok((await second.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(), 0);
  await until('the second’s blobs are known', async () => (await blobs(first, second)) === 5);
});

test('a blob that went bad on disk is announced as gone', async () => {
  const { digest } = lan.upstream.addBlob('library/app', randomBytes(2 * MIB));
  const other = lan.upstream.addBlob('library/app', randomBytes(1000));
  const first = await host();
  const get = async (wanted: string) => {
    const response = await fetch(`${first.mirror}/v2/library/app/blobs/${wanted}`);
    await response.arrayBuffer();
  };
  await get(digest);
  await get(other.digest);
  const second = await host();
  await until('both are known', async () => (await blobs(second, first)) === 2);

  const file = await open(join(first.directory, 'store', 'blobs', ...digest.split(':')), 'r+');
  await file.write(randomBytes(16), 0, 16, MIB);
  await file.close();
  // So that it is not fetched again at once.
  await lan.upstream.refuse();
  await get(digest).catch(() => {});
  await until('the rotten one is known to be gone', async () => (await blobs(second, first)) === 1);
});
