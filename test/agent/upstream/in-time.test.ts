import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { toDigest } from '../../../protocol/digest.ts';
import { client, failsWith, fixture, PATIENCE, REPOSITORY } from './fixture.ts';

async function serve(context: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => void server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a registry that is slow at each step is given up, and the next question begins at the next endpoint', async (context) => {
  let hops = 0;
  const slow = await serve(context, (_, response) => {
    hops++;
    setTimeout(() => response.writeHead(302, { location: `/again/${hops}` }).end(), 200);
  });
  const { registry } = await fixture(context);
  const { digest } = registry.addImage(REPOSITORY.name, { layers: [1] }).manifest;
  const endpoints = [slow, registry.url];
  const { upstream } = client(context, { registries: { 'docker.io': { endpoints } }, answerTimeout: 500 });
  const signal = AbortSignal.timeout(PATIENCE);
  await assert.rejects(
    upstream.getManifest(REPOSITORY, 'latest', [], signal),
    failsWith('UPSTREAM_STALLED', /^docker\.io did not answer within 500 ms$/),
  );
  const asked = hops;
  assert.equal((await upstream.getManifest(REPOSITORY, 'latest', [], signal)).digest, digest);
  assert.equal(hops, asked);
});

test('a blob takes as long as it takes', async (context) => {
  const { registry, upstream, signal } = await fixture(context, {}, { answerTimeout: 100 });
  const { digest } = registry.addBlob(REPOSITORY.name, Buffer.alloc(2_000, 1));
  registry.misbehave({ kind: 'rate', bytesPerSecond: 4_000 });
  let length = 0;
  for await (const piece of (await upstream.getBlob(REPOSITORY, digest, 0, signal)).body) length += piece.length;
  assert.equal(length, 2_000);
});

test('headers have an end of their own, whatever comes before them', async (context) => {
  const url = await serve(context, (_, response) => {
    const more = setInterval(() => response.writeEarlyHints({ link: '</x>; rel=preload' }), 50);
    response.once('close', () => clearInterval(more));
  });
  const init = { registries: { 'docker.io': { endpoints: [url] } }, headersTimeout: 300 };
  const { upstream } = client(context, init);
  await assert.rejects(
    upstream.getBlob(REPOSITORY, toDigest('sha256', Buffer.alloc(32)), 0, AbortSignal.timeout(PATIENCE)),
    failsWith('UPSTREAM_STALLED', /does not answer/),
  );
});
