import assert from 'node:assert/strict';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import test from 'node:test';
import type { Upstream } from '../../../agent/fetch/ports.ts';
import { MANIFEST_MEDIA_TYPES, MAX_MANIFEST_SIZE } from '../../../agent/oci/manifest.ts';
import type { UpstreamClient } from '../../../agent/upstream/client.ts';
import { client, failsWith, fixture, PATIENCE, REPOSITORY } from './fixture.ts';

test('the client is what fetch asks for', () => {
  const asPort = (client: UpstreamClient): Upstream => client;
  assert.equal(typeof asPort, 'function');
});

test('HEAD and GET by tag and by digest', async (context) => {
  const { registry, upstream, signal, bytesCounted } = await fixture(context);
  const { manifest } = registry.addImage(REPOSITORY.name, { layers: [10] });
  for (const reference of ['latest', manifest.digest]) {
    assert.deepEqual(await upstream.headManifest(REPOSITORY, reference, [], signal), {
      digest: manifest.digest,
      mediaType: manifest.mediaType,
      size: manifest.bytes.length,
      withCredentials: false,
    });
    const { bytes, mediaType, digest } = await upstream.getManifest(REPOSITORY, reference, [], signal);
    assert.deepEqual(Buffer.from(bytes), manifest.bytes);
    assert.deepEqual({ mediaType, digest }, { mediaType: manifest.mediaType, digest: manifest.digest });
  }
  assert.equal(await bytesCounted(), 2 * manifest.bytes.length);
});

test('a HEAD that tells of no bytes at all tells no size', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  const { manifest } = registry.addImage(REPOSITORY.name, { layers: [10] });
  registry.misbehave({ kind: 'length', delta: -manifest.bytes.length, on: 'manifest', method: 'HEAD' });
  const { digest, size } = await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  assert.deepEqual({ digest, size }, { digest: manifest.digest, size: undefined });
});

test('Accept goes through as it came; where the client does not care, all we know is asked for', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.addImage(REPOSITORY.name, { layers: [10] });
  const all = MANIFEST_MEDIA_TYPES.join(', ');
  for (const [accept, sent] of [
    [[], all],
    [['*/*'], all],
    [['*/*;q=0.8'], all],
    [['application/vnd.oci.image.index.v1+json', '*/*'], 'application/vnd.oci.image.index.v1+json, */*'],
  ] as const) {
    await upstream.headManifest(REPOSITORY, 'latest', accept, signal);
    assert.equal(registry.requests.at(-1)?.accept, sent);
    assert.equal(registry.requests.at(-1)?.acceptEncoding, 'identity');
  }
});

test('unknown', async (context) => {
  const { upstream, signal } = await fixture(context);
  await assert.rejects(upstream.headManifest(REPOSITORY, 'none', [], signal), failsWith('MANIFEST_UNKNOWN'));
  await assert.rejects(upstream.getManifest(REPOSITORY, 'none', [], signal), failsWith('MANIFEST_UNKNOWN'));
});

test('one that is too large is not taken in', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.addManifest(REPOSITORY.name, 'application/json', Buffer.alloc(MAX_MANIFEST_SIZE + 1), 'large');
  await assert.rejects(upstream.getManifest(REPOSITORY, 'large', [], signal), failsWith('UPSTREAM_FAILED', /4194304/));
});

test('one whose body breaks or stalls is asked for again', async (context) => {
  const { registry, upstream, signal } = await fixture(context, {}, { stallTimeout: 600 });
  const { manifest } = registry.addImage(REPOSITORY.name, { layers: [10] });
  registry.misbehave({ kind: 'break', after: 100, on: 'manifest', times: 1 });
  registry.misbehave({ kind: 'stall', after: 50, on: 'manifest', times: 2, every: 2 });
  const { bytes } = await upstream.getManifest(REPOSITORY, 'latest', [], signal);
  assert.deepEqual(Buffer.from(bytes), manifest.bytes);
});

test('a registry that wrongly sends a body with a HEAD does not spoil the next answer', async (context) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (request) => {
      const isHead = request.toString().startsWith('HEAD');
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n${isHead ? '[]' : '{}'}`,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const { upstream } = client(context, { registries: { 'docker.io': { endpoints: [`http://127.0.0.1:${port}`] } } });
  const signal = AbortSignal.timeout(PATIENCE);
  for (let round = 0; round < 5; round++) {
    await upstream.headManifest(REPOSITORY, 'latest', [], signal);
    const { bytes } = await upstream.getManifest(REPOSITORY, 'latest', [], signal);
    assert.equal(Buffer.from(bytes).toString(), '{}');
  }
});

test('one that drips, or stalls each time, is given up while the client still waits', async (context) => {
  let requests = 0;
  let drip = true;
  const server = createTcpServer((socket) => {
    const timer = setInterval(() => drip && socket.write(' '), 20);
    socket.on('error', () => {});
    socket.on('close', () => clearInterval(timer));
    socket.on('data', () => {
      requests++;
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const registries = { 'docker.io': { endpoints: [`http://127.0.0.1:${port}`] } };
  const { upstream } = client(context, { registries, stallTimeout: 200 });
  const signal = AbortSignal.timeout(PATIENCE);
  await assert.rejects(upstream.getManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_STALLED', /within/));
  assert.equal(requests, 1);
  drip = false;
  await assert.rejects(upstream.getManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_STALLED'));
  assert.ok(requests <= 3, `${requests}`);
});
