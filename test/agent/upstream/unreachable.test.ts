import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { startDeafServer } from '../../support/deaf-server.ts';
import { client, failsWith, fixture, PATIENCE, REPOSITORY } from './fixture.ts';

/** The promise is 2.5 s on an idle machine; a loaded one gets three times that. Milliseconds. */
const SOON = 7500;

async function soon(work: () => Promise<unknown>): Promise<void> {
  const from = performance.now();
  await assert.rejects(work, failsWith('UPSTREAM_UNREACHABLE'));
  assert.ok(performance.now() - from < SOON);
}

test('packets that are dropped: told soon on a kept connection, on a new one, and with several endpoints', async (context) => {
  const servers = await Promise.all([startDeafServer(), startDeafServer()]);
  context.after(() => Promise.all(servers.map((server) => server.close())));
  const signal = AbortSignal.timeout(PATIENCE);
  const endpoints = servers.map(({ url }) => url);
  const registries = { 'docker.io': { endpoints } };
  const warm = client(context, { registries }).upstream;
  const cold = client(context, { registries }).upstream;
  await warm.getManifest(REPOSITORY, 'latest', [], signal);
  await setImmediate();
  await Promise.all(servers.map((server) => server.freeze()));
  await Promise.all([
    soon(() => warm.getManifest(REPOSITORY, 'latest', [], signal)),
    soon(() => cold.getManifest(REPOSITORY, 'latest', [], signal)),
  ]);
  for (const server of servers) server.thaw();
  // Asked until the short memory ends: the network is back, and so is the registry.
  for (let isBack = false; !isBack; ) {
    signal.throwIfAborted();
    isBack = await warm.getManifest(REPOSITORY, 'latest', [], signal).then(
      () => true,
      () => new Promise((resolve) => setTimeout(resolve, 100, false)),
    );
  }
});

test('a burst of requests does not wait for the time-out again and again', async (context) => {
  const server = await startDeafServer();
  context.after(() => server.close());
  const registries = { 'docker.io': { endpoints: [server.url] } };
  const { upstream } = client(context, { registries, unreachableFor: PATIENCE });
  await server.freeze();
  const head = () => upstream.headManifest(REPOSITORY, 'latest', [], AbortSignal.timeout(PATIENCE));
  await soon(head);
  await assert.rejects(head, failsWith('UPSTREAM_UNREACHABLE', /a moment ago/));
});

test('refused connections are told at once and not remembered', async (context) => {
  const { registry, upstream, signal } = await fixture(context, {}, { unreachableFor: PATIENCE });
  registry.addImage(REPOSITORY.name, { layers: [10] });
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  await registry.refuse();
  await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_UNREACHABLE'));
  await registry.comeBack();
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
});

test('a kept connection whose route has gone', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.addImage(REPOSITORY.name, { layers: [10] });
  await upstream.getManifest(REPOSITORY, 'latest', [], signal);
  // undici counts a connection as free a turn after its answer has ended.
  await setImmediate();
  await registry.vanish();
  await soon(() => upstream.getManifest(REPOSITORY, 'latest', [], signal));
});

test('a registry that is slow but there is waited for', async (context) => {
  const { registry, upstream, signal } = await fixture(context, {}, { probeAfter: 50, probeTimeout: 5000 });
  const { manifest } = registry.addImage(REPOSITORY.name, { layers: [10] });
  registry.misbehave({ kind: 'delay', milliseconds: 500, on: 'manifest' });
  assert.equal((await upstream.headManifest(REPOSITORY, 'latest', [], signal)).digest, manifest.digest);
});

test('one that is there and never answers has stalled', async (context) => {
  const { registry, upstream, signal } = await fixture(context, {}, { headersTimeout: 300 });
  const [layer] = registry.addImage(REPOSITORY.name, { layers: [10] }).layers;
  assert.ok(layer);
  registry.misbehave({ kind: 'black-hole', on: 'any' });
  await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_STALLED'));
  await assert.rejects(upstream.getBlob(REPOSITORY, layer.digest, 0, signal), failsWith('UPSTREAM_STALLED'));
});

test('a caller that leaves while nobody answers is let go at once', async (context) => {
  const { registry, upstream } = await fixture(context, {}, { probeAfter: PATIENCE, headersTimeout: PATIENCE });
  registry.misbehave({ kind: 'black-hole', on: 'any' });
  const abort = new AbortController();
  const head = assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], abort.signal), /enough/);
  abort.abort(new Error('enough'));
  await head;
});

test('a name that does not resolve', async (context) => {
  const { upstream, signal } = await fixture(context);
  // A label that is too long fails in the resolver, before any packet.
  const repository = { registry: `${'a'.repeat(64)}.example`, name: 'a' };
  await soon(() => upstream.headManifest(repository, 'latest', [], signal));
});
