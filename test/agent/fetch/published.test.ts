import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import type { FetchComponents, FetchInit } from '../../../agent/fetch/init.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const PUBLIC = { registry: 'docker.io', name: 'library/app' };
const PRIVATE = { registry: 'docker.io', name: 'group/secret' };
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE }));
const never = new AbortController().signal;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
let told: string[];

function contentOf(init: Partial<FetchInit> = {}): LanContent {
  const published: FetchComponents['published'] = {
    named: ({ name }, digest) => void told.push(`named ${name} ${digest}`),
    seen: (digest, manifest) => void told.push(`seen ${digest} ${manifest.length}`),
  };
  return createContent(
    {
      store,
      upstream,
      swarm,
      published,
      tags: memoryTags(),
      metrics: createMetrics(),
      logger: pino({ enabled: false }),
    },
    { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags: () => ({ fresh: [], immutable: [] }), ...init },
  );
}

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  upstream.private.add(PRIVATE.name);
  told = [];
  content = contentOf();
});

afterEach(() => content.stop());

test('a tag’s answer and a manifest from upstream are told: the digest first, then the bytes', async () => {
  const digest = upstream.tag('latest', bytes, MANIFEST_TYPE);
  await content.headManifest({ repository: PUBLIC, reference: 'latest', accept: [] }, never);
  assert.deepEqual(told.splice(0), [`named library/app ${digest}`]);
  await content.getManifest({ repository: PUBLIC, reference: digest, accept: [] }, never);
  assert.deepEqual(told.splice(0), [`named library/app ${digest}`, `seen ${digest} ${bytes.length}`]);
  // Held by now: nobody names it, but it passes by.
  await content.getManifest({ repository: PUBLIC, reference: digest, accept: [] }, never);
  assert.deepEqual(told, [`seen ${digest} ${bytes.length}`]);
});

test('what comes with credentials names nothing', async () => {
  const digest = upstream.tag('latest', bytes, MANIFEST_TYPE);
  await content.getManifest({ repository: PRIVATE, reference: 'latest', accept: [] }, never);
  await content.getManifest({ repository: PRIVATE, reference: digest, accept: [] }, never);
  assert.ok(told.length > 0 && told.every((each) => each === `seen ${digest} ${bytes.length}`));
});

test('with credentials, what is named counts once the repository is known to be public', async () => {
  upstream.said.set(PRIVATE.name, 'public');
  const digest = upstream.tag('latest', bytes, MANIFEST_TYPE);
  await content.getManifest({ repository: PRIVATE, reference: 'latest', accept: [] }, never);
  told = [];
  await content.refreshTag({ repository: PRIVATE, tag: 'latest' }, never);
  assert.deepEqual(told, [`named group/secret ${digest}`]);
});

test('a registry that is shared whatever it says, or not at all, names nothing', async () => {
  const digest = upstream.tag('latest', bytes, MANIFEST_TYPE);
  for (const [share, repository] of [
    ['all', PRIVATE],
    ['none', PUBLIC],
  ] as const) {
    const other = contentOf({ share: () => share });
    for (const reference of ['latest', digest]) await other.getManifest({ repository, reference, accept: [] }, never);
    await other.stop();
  }
  assert.ok(told.length > 0 && told.every((each) => each.startsWith('seen ')));
});

test('the store’s own copy of what lies elsewhere is private where it comes from a private repository', async () => {
  const digest = upstream.tag('latest', bytes, MANIFEST_TYPE);
  // A HEAD that names no digest: the manifest is fetched, though it is held.
  upstream.etag = '"etag"';
  const { find } = store;
  let isElsewhere = true;
  store.find = (of) =>
    isElsewhere && of === digest ? { digest, size: bytes.length, mediaType: null } : find.call(store, of);
  await content.getManifest({ repository: PRIVATE, reference: 'latest', accept: [] }, never);
  isElsewhere = false;
  assert.notEqual(store.find(digest), undefined);
  assert.equal(store.held(digest), undefined);
});

test('a peer’s manifest is seen; that a peer has it names nothing', async () => {
  const digest = upstream.tag('latest', bytes, MANIFEST_TYPE);
  upstream.remove(digest);
  swarm.add('holder', digest, { bytes });
  await content.getManifest({ repository: PUBLIC, reference: digest, accept: [] }, never);
  assert.deepEqual(told, [`seen ${digest} ${bytes.length}`]);
});

test('whether blobs are on their way can be asked', async () => {
  const digest = upstream.add(Buffer.alloc(5000, 1));
  assert.equal(content.isFetching, false);
  upstream.pace = async () => assert.equal(content.isFetching, true);
  const blob = await content.openBlob({ repository: PUBLIC, digest }, never);
  let size = 0;
  for await (const piece of blob.read(0, blob.size, never)) size += piece.length;
  assert.equal(size, 5000);
});
