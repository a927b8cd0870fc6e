import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../../agent/fetch/content.ts';
import type { Share } from '../../../../agent/fetch/privacy/standing.ts';
import { createMetrics } from '../../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../../protocol/chunks.ts';
import type { Digest } from '../../../../protocol/digest.ts';
import { until } from '../../../support/host.ts';
import { memoryStandings } from '../../../support/memory-standings.ts';
import { type MemoryStore, memoryStore } from '../../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../../support/memory-swarm.ts';
import { memoryTags } from '../../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../../support/memory-upstream.ts';

const APP = { registry: 'ghcr.io', name: 'group/app' };
const OPEN = { registry: 'docker.io', name: 'library/app' };
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const never = new AbortController().signal;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let share: Share;
let content: LanContent;
let layer: Buffer;
let digest: Digest;
let manifest: Digest;

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  upstream.private.add(APP.name);
  share = 'public';
  content = createContent(
    {
      store,
      upstream,
      swarm,
      tags: memoryTags(),
      standings: memoryStandings(),
      metrics: createMetrics(),
      logger: pino({ enabled: false }),
    },
    {
      lookupTimeout: 100,
      leaseTimeout: 250,
      holdFor: 60_000,
      tags: () => ({ fresh: [], immutable: [] }),
      share: () => share,
    },
  );
  swarm.meet('neighbour');
  layer = randomBytes(2 * MIB);
  digest = upstream.add(layer);
  const layers = [{ digest, size: layer.length }];
  manifest = upstream.tag('latest', Buffer.from(JSON.stringify({ mediaType: MANIFEST_TYPE, layers })), MANIFEST_TYPE);
});

afterEach(() => content.stop());

async function read(repository = APP): Promise<void> {
  const blob = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(0, blob.size, never)) pieces.push(Buffer.from(piece));
  assert.ok(layer.equals(Buffer.concat(pieces)));
}

const named = (reference: string, repository = APP) => ({ repository, reference, accept: [] });

for (const [client, references] of [
  ['dockerd and containerd', ['HEAD latest', 'GET digest']],
  ['podman', ['GET latest']],
  ['a pull by digest', ['GET digest']],
] as const) {
  test(`a public repository’s first pull is shared, and asked about once: ${client}`, async () => {
    upstream.said.set(APP.name, 'public');
    for (const step of references) {
      const [method, reference] = step.split(' ');
      const request = named(reference === 'digest' ? manifest : 'latest');
      if (method === 'HEAD') assert.equal((await content.headManifest(request, never)).digest, manifest);
      else assert.equal((await content.getManifest(request, never)).digest, manifest);
    }
    await read();
    assert.equal(upstream.anonymousAsks.length, 1);
    assert.deepEqual(upstream.manifestGets, [manifest]);
    for (const one of [manifest, digest]) {
      assert.ok(store.held(one), one);
      assert.ok(
        swarm.told.some(({ message }) => 'digest' in message && message.digest === one),
        one,
      );
    }
  });
}

test('upstream is asked what a tag is while it is asked whether the repository is public', async () => {
  upstream.said.set(APP.name, 'public');
  const answer = Promise.withResolvers<void>();
  upstream.anonymousPause = () => answer.promise;
  const got = content.getManifest(named('latest'), never);
  await until('upstream was asked', () => upstream.manifestHeads.length > 0);
  assert.deepEqual(upstream.manifestGets, [], 'its content waits');
  answer.resolve();
  assert.equal((await got).digest, manifest);
  assert.ok(store.held(manifest));
});

test('with an answer that is late the image is taken alone, and given to peers when it has come', async () => {
  upstream.said.set(APP.name, 'public');
  const answer = Promise.withResolvers<void>();
  upstream.anonymousPause = () => answer.promise;
  await content.getManifest(named('latest'), never);
  await read();
  assert.deepEqual(swarm.told, []);
  for (const one of [manifest, digest]) assert.equal(store.held(one), undefined);
  answer.resolve();
  await until('they are for peers', () => store.held(manifest) !== undefined && store.held(digest) !== undefined);
});

test('an image that is held waits for no answer', async () => {
  upstream.said.set(APP.name, 'denied');
  await content.getManifest(named('latest'), never);
  upstream.said.clear();
  upstream.private.add('group/fork');
  upstream.anonymousPause = (signal) => new Promise((_, reject) => signal.addEventListener('abort', reject));
  let isSettled = false;
  const asked = content.getManifest(named(manifest, { ...APP, name: 'group/fork' }), never);
  asked.then(() => {
    isSettled = true;
  });
  // No timer has had its turn by then.
  for (let turns = 0; turns < 100 && !isSettled; turns++) await new Promise(setImmediate);
  assert.ok(isSettled);
});

test('a layer of a private image is public once a public one that lists it is asked for, and its registry gives it', async () => {
  upstream.private.add('group/base');
  upstream.said.set('group/base', 'public');
  await read();
  assert.equal(store.held(digest), undefined);
  await content.getManifest(named('latest', { registry: 'quay.io', name: 'group/base' }), never);
  await content.getManifest(named('latest', { registry: 'ghcr.io', name: 'group/base' }), never);
  await until('the layer is for peers', () => store.held(digest) !== undefined);
  assert.equal(upstream.anonymousAsks.filter((ask) => ask.includes(digest)).length, 1);
});

test('share: none takes alone what anybody may have, and keeps it so', async () => {
  share = 'none';
  swarm.add('holder', digest, { bytes: layer });
  await content.getManifest(named('latest', OPEN), never);
  await read(OPEN);
  assert.deepEqual([swarm.told, swarm.given.size, upstream.anonymousAsks], [[], 0, []]);
  for (const one of [manifest, digest]) assert.equal(store.held(one), undefined);
});

test('share: all shares what is had with credentials alone', async () => {
  share = 'all';
  await content.getManifest(named('latest'), never);
  await read();
  assert.deepEqual(upstream.anonymousAsks, []);
  for (const one of [manifest, digest]) assert.ok(store.held(one));
});
