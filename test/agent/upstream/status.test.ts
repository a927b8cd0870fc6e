import assert from 'node:assert/strict';
import test from 'node:test';
import { startUpstreamRegistry } from '../../support/upstream-registry.ts';
import { client, failsWith, fixture, PATIENCE, REPOSITORY } from './fixture.ts';

test('a moment of 5xx is waited out, a lasting one is told', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.addImage(REPOSITORY.name, { layers: [10] });
  registry.misbehave({ kind: 'status', status: 503, on: 'manifest', times: 2 });
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  registry.misbehave({ kind: 'status', status: 500, on: 'manifest' });
  await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_FAILED', /500/));
});

test('429: a short Retry-After is waited out, a long one or none is told', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.addImage(REPOSITORY.name, { layers: [10] });
  registry.misbehave({ kind: 'status', status: 429, headers: { 'retry-after': '1' }, on: 'manifest', times: 1 });
  await upstream.headManifest(REPOSITORY, 'latest', [], signal);
  for (const headers of [{ 'retry-after': '3600' }, {}]) {
    const off = registry.misbehave({ kind: 'status', status: 429, headers, on: 'manifest' });
    await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_RATE_LIMITED'));
    off();
  }
});

test('429 again and again is not waited out for ever', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.addImage(REPOSITORY.name, { layers: [10] });
  registry.misbehave({ kind: 'status', status: 429, headers: { 'retry-after': '1' }, on: 'manifest' });
  await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_RATE_LIMITED'));
  assert.equal(
    registry.requests.filter(({ kind }) => kind === 'manifest').length,
    3,
    'asked, and again after each of two waits',
  );
});

test('401 without a challenge and 403 are refusals', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  for (const status of [401, 403]) {
    const off = registry.misbehave({ kind: 'status', status, on: 'manifest' });
    await assert.rejects(upstream.headManifest(REPOSITORY, 'latest', [], signal), failsWith('UPSTREAM_DENIED'));
    off();
  }
});

test('the next endpoint is asked where one fails, refuses or lacks it', async (context) => {
  const registries = await Promise.all([startUpstreamRegistry(), startUpstreamRegistry()]);
  const [mirror, origin] = registries;
  context.after(() => Promise.all(registries.map((registry) => registry.close())));
  const endpoints = [mirror.url, origin.url];
  const { upstream } = client(context, { registries: { 'docker.io': { endpoints } } });
  const signal = AbortSignal.timeout(PATIENCE);
  const { manifest } = origin.addImage(REPOSITORY.name, { layers: [10] });
  const head = async (): Promise<unknown> => (await upstream.headManifest(REPOSITORY, 'latest', [], signal)).digest;

  assert.equal(await head(), manifest.digest, '404');
  for (const status of [403, 500, 429]) {
    const off = mirror.misbehave({ kind: 'status', status, on: 'manifest' });
    assert.equal(await head(), manifest.digest, `${status}`);
    off();
  }
  await mirror.refuse();
  assert.equal(await head(), manifest.digest, 'refused');
  await assert.rejects(upstream.headManifest(REPOSITORY, 'none', [], signal), failsWith('MANIFEST_UNKNOWN'));
  await mirror.comeBack();
  mirror.addManifest(REPOSITORY.name, 'application/json', Buffer.from('{}'), 'mirrored');
  origin.forget();
  await upstream.headManifest(REPOSITORY, 'mirrored', [], signal);
  assert.equal(origin.requests.length, 0, 'the first endpoint comes first');
});

test('an endpoint with a path', async (context) => {
  const { registry, signal } = await fixture(context);
  const prefixed = client(context, { registries: { 'x.example': { endpoints: [`${registry.url}/cache/`] } } });
  await assert.rejects(
    prefixed.upstream.headManifest({ registry: 'x.example', name: 'a' }, 'b', [], signal),
    failsWith('MANIFEST_UNKNOWN'),
  );
  assert.equal(registry.requests.at(-1)?.path, '/cache/v2/a/manifests/b');
});

test('a registry that nobody wrote is not looked for at private addresses', async (context) => {
  const { registry, upstream, signal } = await fixture(context);
  registry.addImage('a', { layers: [10] });
  for (const name of [registry.host, '169.254.169.254', 'localhost:5000', '2130706433']) {
    await assert.rejects(
      upstream.headManifest({ registry: name, name: 'a' }, 'latest', [], signal),
      failsWith('ADDRESS_PRIVATE', /private address/),
      name,
    );
  }
  assert.equal(registry.requests.length, 0);
});
