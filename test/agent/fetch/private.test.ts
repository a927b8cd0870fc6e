import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const PRIVATE = { registry: 'ghcr.io', name: 'group/secret' };
const PUBLIC = { registry: 'docker.io', name: 'library/app' };
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const never = new AbortController().signal;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  upstream.private.add(PRIVATE.name);
  content = createContent(
    { store, upstream, swarm, tags: memoryTags(), metrics: createMetrics(), logger: pino({ enabled: false }) },
    { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags: () => ({ fresh: [], immutable: [] }) },
  );
  swarm.meet('neighbour');
});

afterEach(() => content.stop());

async function read(digest: Digest, repository = PRIVATE): Promise<Buffer> {
  const blob = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(0, blob.size, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const chunkForPeers = (digest: Digest) => swarm.attendant?.chunk(digest, 0, never);

test('a private blob is taken without a word to anybody, before, while and after', async () => {
  const bytes = randomBytes(3 * MIB);
  const digest = upstream.add(bytes);
  let given: unknown = 'not asked';
  upstream.pace = async () => {
    if (upstream.sent > 2 * MIB) given = await chunkForPeers(digest);
  };
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(given, undefined, 'a chunk on its way');
  assert.deepEqual(swarm.told, []);
  assert.equal(await chunkForPeers(digest), undefined);
  assert.equal(swarm.attendant?.mark(digest, 0), undefined);
  assert.equal(store.held(digest), undefined);
  assert.equal(await store.chunk(digest, 0, never), undefined);
  assert.equal(store.find(digest)?.size, bytes.length, 'this host has it');
});

test('a public blob beside it is told of, as ever', async () => {
  const bytes = randomBytes(MIB);
  const digest = upstream.add(bytes);
  await read(digest, PUBLIC);
  assert.ok(swarm.told.length > 0);
  assert.ok(store.held(digest));
});

test('nobody is asked for what is private, so that no peer hears of it', async () => {
  const bytes = randomBytes(MIB);
  const digest = upstream.add(bytes);
  swarm.add('holder', digest, { bytes });
  await read(digest);
  assert.equal(swarm.given.size, 0);
});

test('a private manifest, by tag and by digest', async () => {
  for (const reference of ['latest', 'digest']) {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, reference }));
    const digest = upstream.tag(reference, bytes, MANIFEST_TYPE);
    const request = { repository: PRIVATE, reference: reference === 'digest' ? digest : reference, accept: [] };
    await content.headManifest(request, never);
    const manifest = await content.getManifest(request, never);
    assert.equal(manifest.digest, digest);
    assert.ok(store.isPrivate(digest));
    assert.equal(store.held(digest), undefined);
    assert.ok(store.find(digest));
  }
  assert.deepEqual(swarm.told, []);
});

test('what is left of a private blob stays private when a public repository is asked for it', async () => {
  const bytes = randomBytes(3 * MIB);
  const digest = upstream.add(bytes);
  upstream.breakAt = 2 * MIB;
  await assert.rejects(read(digest));
  upstream.breakAt = undefined;
  assert.ok(bytes.equals(await read(digest, PUBLIC)));
  assert.deepEqual(swarm.told, []);
  assert.equal(store.held(digest), undefined);
});

test('a private repository’s reader of what the LAN takes together: nothing of its own is put in', async () => {
  const bytes = randomBytes(3 * MIB);
  const digest = upstream.add(bytes);
  const started = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  upstream.pace = async () => {
    started.resolve();
    await go.promise;
  };
  const asked: string[] = [];
  const { getBlob } = upstream;
  upstream.getBlob = (repository, ...rest) => {
    asked.push(repository.name);
    return getBlob(repository, ...rest);
  };
  const shared = read(digest, PUBLIC).catch(() => 'failed');
  await started.promise;
  const guest = read(digest, PRIVATE);
  // The public one is denied in the middle: its reader fails, the guest goes on by itself.
  const wasPublic = upstream.breakAt;
  upstream.breakAt = MIB;
  upstream.pace = async () => {};
  const told = () => swarm.told.length;
  upstream.getBlob = (repository, ...rest) => {
    asked.push(repository.name);
    if (repository.name === PRIVATE.name) upstream.breakAt = wasPublic;
    return getBlob(repository, ...rest);
  };
  go.resolve();
  assert.equal(await shared, 'failed');
  const before = told();
  assert.ok(bytes.equals(await guest));
  assert.equal(told(), before, 'told of nothing since');
  assert.deepEqual([asked[0], asked.at(-1)], [PUBLIC.name, PRIVATE.name]);
  assert.equal(store.held(digest), undefined);
});

test('what cannot be noted as private is given and not kept', async () => {
  const bytes = randomBytes(1000);
  const digest = upstream.add(bytes);
  store.keepPrivate = () => {
    throw new Error('database or disk is full');
  };
  swarm.add('holder', digest, { bytes });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(swarm.given.size, 0, 'nobody heard of it');
  assert.equal(store.find(digest), undefined);
  const document = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE }));
  const manifest = upstream.tag('latest', document, MANIFEST_TYPE);
  await content.getManifest({ repository: PRIVATE, reference: 'latest', accept: [] }, never);
  assert.equal(store.find(manifest), undefined);
});
