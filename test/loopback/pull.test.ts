import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Host } from '../support/host.ts';
import { lanForEachTest } from '../support/loopback-lan.ts';
import { startUpstreamRegistry } from '../support/upstream-registry.ts';

const MIB = 1024 * 1024;
const LAYERS = [9 * MIB + 11, 3 * MIB, 1000];

const lan = lanForEachTest();
const { host } = lan;

const traffic = async (of: Host) => (await of.agent.status()).traffic;

test('the first host’s pull crosses the uplink once, the second’s not at all, and the peer is named', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const size = image.layers.reduce((sum, layer) => sum + layer.size, image.config.size);
  const first = await host();
  assert.ok((await first.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.bytesServed(), size);

  const second = await host();
  lan.upstream.forget();
  assert.ok((await second.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(), 0);
  assert.deepEqual(
    lan.upstream.requests.map(({ method, kind }) => `${method} ${kind}`),
    ['HEAD manifest'],
  );
  const named = second.log.filter((line) => line.from && first.agent.peerId in (line.from as object));
  assert.equal(named.length, LAYERS.length + 2);
  assert.ok((await traffic(second)).sparedBytes >= size);
  assert.ok((await traffic(first)).servedBytes >= size);
});

test('an image behind an index, with bearer tokens upstream', async () => {
  await lan.upstream.close();
  lan.upstream = await startUpstreamRegistry({ auth: 'bearer' });
  lan.upstream.addImage('library/app', { layers: LAYERS, index: true });
  const first = await host();
  const second = await host();
  assert.ok((await first.pull('library/app', 'latest')).matches);
  lan.upstream.forget();
  assert.ok((await second.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(), 0);
});

test('a pull again comes from the store, with one HEAD for the tag', async () => {
  lan.upstream.addImage('library/app', { layers: LAYERS });
  const only = await host({ tags: { fresh: '0s' } });
  await only.pull('library/app', 'latest');
  lan.upstream.forget();
  assert.ok((await only.pull('library/app', 'latest')).matches);
  assert.deepEqual(
    lan.upstream.requests.map(({ method, kind }) => `${method} ${kind}`),
    ['HEAD manifest'],
  );
});

test('a tag that moves upstream is seen', async () => {
  lan.upstream.addImage('library/app', { layers: [1000], seed: 'old' });
  const only = await host({ tags: { fresh: '0s' } });
  const old = await only.pull('library/app', 'latest');
  const moved = lan.upstream.addImage('library/app', { layers: [1000], seed: 'new' });
  const now = await only.pull('library/app', 'latest');
  assert.notEqual(now.manifest.digest, old.manifest.digest);
  assert.equal(now.manifest.digest, moved.manifest.digest);
});

test('a third host, which knows only the second, finds through the DHT what only the first holds', async () => {
  lan.upstream.addImage('library/app', { layers: LAYERS });
  const first = await host();
  await first.pull('library/app', 'latest');
  const second = await host();
  const third = await host({ peers: [...second.agent.peerAddresses] });
  lan.upstream.forget();
  assert.ok((await third.pull('library/app', 'latest')).matches);
  assert.equal(lan.upstream.blobGets(), 0);
});

test('upstream away: what a peer holds is pulled by digest, what nobody holds is told within 3 s', async () => {
  const image = lan.upstream.addImage('library/app', { layers: LAYERS });
  const other = lan.upstream.addImage('library/other', { layers: [5000], seed: 'other' });
  const first = await host();
  await first.pull('library/app', 'latest');
  const second = await host();
  await lan.upstream.refuse();
  assert.ok((await second.pull('library/app', image.manifest.digest)).matches);
  for (const path of [`manifests/${other.manifest.digest}`, `blobs/${other.config.digest}`, 'manifests/latest']) {
    const started = performance.now();
    const response = await fetch(`${second.mirror}/v2/library/other/${path}`);
    const body = (await response.json()) as { errors: { code: string; message: string }[] };
    assert.equal(response.status, 502);
    assert.ok(body.errors[0]?.message.length);
    assert.ok(performance.now() - started < 3 * 3000, path);
  }
});

test('upstream that breaks in mid-blob is taken up again; the client never notices', async () => {
  lan.upstream.addImage('library/app', { layers: LAYERS });
  lan.upstream.misbehave({ kind: 'break', after: 2 * MIB, every: 2 });
  const only = await host();
  const pulled = await only.pull('library/app', 'latest');
  assert.ok(pulled.matches);
  assert.ok(pulled.blobs.every((blob) => blob.resumed === 0));
});

test('what upstream does not have, or denies, is told as it is', async () => {
  lan.upstream.addImage('library/app', { layers: [10] });
  const only = await host();
  const unknown = `sha256:${'0'.repeat(64)}`;
  for (const [path, status, code] of [
    [`library/app/blobs/${unknown}`, 404, 'BLOB_UNKNOWN'],
    [`library/app/manifests/${unknown}`, 404, 'MANIFEST_UNKNOWN'],
    ['library/app/manifests/none', 404, 'MANIFEST_UNKNOWN'],
  ] as const) {
    const response = await fetch(`${only.mirror}/v2/${path}`);
    assert.equal(response.status, status);
    assert.equal(((await response.json()) as { errors: { code: string }[] }).errors[0]?.code, code);
  }
  lan.upstream.misbehave({ kind: 'status', status: 403, on: 'any' });
  const denied = await fetch(`${only.mirror}/v2/library/app/manifests/latest`);
  assert.equal(denied.status, 403);
});
