import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDeafServer } from '../../support/deaf-server.ts';
import { startUpstreamRegistry, type UpstreamRegistry } from '../../support/upstream-registry.ts';
import { client, failsWith, PATIENCE, REPOSITORY } from './fixture.ts';

/** Two registries with the same image, the first of which never answers until it behaves. */
async function pair(context: TestContext, avoidFor: number) {
  const [mirror, origin] = await Promise.all([startUpstreamRegistry(), startUpstreamRegistry()]);
  context.after(() => Promise.all([mirror.close(), origin.close()]));
  for (const registry of [mirror, origin]) registry.addImage(REPOSITORY.name, { layers: [10] });
  const registries = { 'docker.io': { endpoints: [mirror.url, origin.url] } };
  const { upstream } = client(context, { registries, avoidFor, unreachableFor: 1, headersTimeout: 200 });
  const signal = AbortSignal.timeout(PATIENCE);
  const head = (reference = 'latest') => upstream.headManifest(REPOSITORY, reference, [], signal);
  const asked = (registry: UpstreamRegistry): number => registry.requests.length;
  mirror.misbehave({ kind: 'black-hole', on: 'any' });
  const tags = (name: string) => upstream.listTags({ ...REPOSITORY, name }, '', signal);
  return { mirror, origin, head, tags, asked, signal };
}

test('an endpoint that does not answer is waited for once, and then left alone', async (context) => {
  const { mirror, origin, head, tags, asked } = await pair(context, PATIENCE);
  await head();
  assert.equal(asked(mirror), 1);
  for (let index = 0; index < 5; index++) await head();
  assert.equal(asked(mirror), 1);
  assert.equal(asked(origin), 6);
  await assert.rejects(head('none'), failsWith('MANIFEST_UNKNOWN'));
  await assert.rejects(tags('no/such'), failsWith('NAME_UNKNOWN'));
  assert.equal(asked(mirror), 1, 'nor is it waited for where the registry itself has said no');
  await origin.refuse();
  mirror.behave();
  await head();
  assert.equal(asked(mirror), 2, 'but it is where nobody else is left');
});

test('after a while one request tries it, and where it answers it comes first again', async (context) => {
  const { mirror, origin, head, asked, signal } = await pair(context, 300);
  await head();
  while (asked(mirror) === 1) {
    signal.throwIfAborted();
    await sleep(20);
    await head();
  }
  assert.equal(asked(mirror), 2, 'it was tried, and still does not answer');
  mirror.behave();
  while (asked(mirror) === 2) {
    signal.throwIfAborted();
    await sleep(20);
    await head();
  }
  origin.forget();
  for (let index = 0; index < 3; index++) await head();
  assert.equal(asked(origin), 0);
});

test('packets that are dropped cost one wait, not one a request', async (context) => {
  const server = await startDeafServer();
  context.after(() => server.close());
  const origin = await startUpstreamRegistry();
  context.after(() => origin.close());
  origin.addImage(REPOSITORY.name, { layers: [10] });
  const registries = { 'docker.io': { endpoints: [server.url, origin.url] } };
  const { upstream } = client(context, { registries, unreachableFor: 1, connectTimeout: 1000, probeAfter: PATIENCE });
  await server.freeze();
  const signal = AbortSignal.timeout(PATIENCE);
  // A hundred waits would be longer than anybody's patience.
  for (let index = 0; index < 100; index++) await upstream.headManifest(REPOSITORY, 'latest', [], signal);
});

test('one that refuses at once is asked each time: it costs nothing, and is back as soon as it answers', async (context) => {
  const { mirror, origin, head, asked } = await pair(context, PATIENCE);
  mirror.behave();
  await mirror.refuse();
  await head();
  await head();
  assert.equal(asked(origin), 2);
  await mirror.comeBack();
  await head();
  assert.deepEqual([asked(mirror), asked(origin)], [1, 2]);
});
