import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import type { FetchInit } from '../../../agent/fetch/init.ts';
import type { TagRecords } from '../../../agent/fetch/tags/ports.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../../protocol/digest.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const SETTINGS: FetchInit = {
  lookupTimeout: 100,
  leaseTimeout: 250,
  holdFor: 60_000,
  tags: () => ({ fresh: [], immutable: [] }),
};
const never = new AbortController().signal;
const digestOf = (bytes: Uint8Array) => toDigest('sha256', createHash('sha256').update(bytes).digest());

let store: MemoryStore;
let upstream: MemoryUpstream;
let tags: TagRecords;
let open: LanContent[];

beforeEach(() => {
  store = memoryStore({ maxSize: 8 * MIB });
  upstream = memoryUpstream();
  tags = memoryTags();
  open = [];
});

afterEach(async () => {
  await Promise.all(open.map((each) => each.stop()));
});

function start(over: Partial<FetchInit> = {}): LanContent {
  const logger = pino({ level: 'silent' });
  const components = { store, upstream, swarm: memorySwarm(), tags, metrics: createMetrics(), logger };
  const content = createContent(components, { ...SETTINGS, ...over });
  open.push(content);
  return content;
}

async function* inPieces(bytes: Uint8Array, size = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const blob = (digest: Digest, size: number, over: { mediaType?: string; isShared?: boolean } = {}) => ({
  repository,
  digest,
  size,
  mediaType: undefined,
  isShared: false,
  ...over,
});

test('a blob comes in verified, private, and once', async () => {
  const content = start();
  const bytes = randomBytes(3 * MIB - 17);
  const digest = digestOf(bytes);
  assert.deepEqual(await content.importBlob(blob(digest, bytes.length), inPieces(bytes), never), { held: false });
  assert.equal(store.find(digest)?.size, bytes.length);
  assert.ok(store.isPrivate(digest));
  const unread = (async function* (): AsyncGenerator<Uint8Array> {
    yield assert.fail('it is held');
  })();
  assert.deepEqual(await content.importBlob(blob(digest, bytes.length), unread, never), { held: true });
});

test('an empty blob comes in too', async () => {
  const digest = digestOf(new Uint8Array());
  await start().importBlob(blob(digest, 0), inPieces(new Uint8Array()), never);
  assert.equal(store.find(digest)?.size, 0);
});

test('who may have it is for the registry’s setting to say, and then for who brings it', async () => {
  for (const [share, isShared, isPrivate] of [
    ['public', false, true],
    ['public', true, false],
    ['all', false, false],
    ['none', true, true],
  ] as const) {
    const bytes = randomBytes(100);
    const digest = digestOf(bytes);
    const content = start({ share: () => share });
    await content.importBlob(blob(digest, 100, { isShared }), inPieces(bytes), never);
    assert.equal(store.isPrivate(digest), isPrivate, `${share} ${isShared}`);
  }
});

test('what is not what its digest says is refused by its digest, and nothing of it stays', async () => {
  const content = start();
  const bytes = randomBytes(2 * MIB);
  const digest = digestOf(bytes);
  const other = Buffer.from(bytes);
  other[MIB + 5]! ^= 1;
  const config = Buffer.from('{}');
  const cases: [size: number, bytes: Uint8Array, mediaType?: string][] = [
    [bytes.length, other],
    [bytes.length, bytes.subarray(1)],
    [bytes.length - 1, bytes],
    [config.length, config, 'application/vnd.oci.image.manifest.v1+json'],
    [5 * MIB, bytes, 'application/vnd.oci.image.manifest.v1+json'],
  ];
  for (const [size, sent, mediaType] of cases) {
    const wanted = blob(digest, size, mediaType === undefined ? {} : { mediaType });
    const failure = { code: 'IMPORT_REFUSED', message: new RegExp(`^${digest} is refused: `) };
    await assert.rejects(content.importBlob(wanted, inPieces(sent), never), failure);
    assert.equal(store.find(digest), undefined);
  }
  const partial = await store.openPartial(digest, bytes.length, never);
  assert.equal(partial.marked, 0, 'nothing is left that could be taken for upstream’s');
  await partial.close();
});

test('what does not fit, or is not to be stored, is told', async () => {
  const bytes = randomBytes(9 * MIB);
  const wanted = blob(digestOf(bytes), bytes.length);
  await assert.rejects(start().importBlob(wanted, inPieces(bytes), never), { code: 'NOT_STORED' });
  const skips = start({ keeps: () => false });
  await assert.rejects(skips.importBlob(wanted, inPieces(bytes), never), {
    code: 'NOT_STORED',
    message: /store\.skip/,
  });
  await assert.rejects(skips.importTag({ repository, tag: 'v1' }, wanted.digest, never), { code: 'NOT_STORED' });
});

test('a client who wants what is just coming in waits for it, and upstream is not asked', async () => {
  const content = start();
  const bytes = randomBytes(2 * MIB);
  const digest = digestOf(bytes);
  store.rememberDescriptors([{ digest, size: bytes.length }]);
  upstream.add(bytes);
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = (async function* () {
    yield bytes.subarray(0, 10);
    await promise;
    yield bytes.subarray(10);
  })();
  const coming = content.importBlob(blob(digest, bytes.length), slow, never);
  const reading = (async () => {
    const opened = await content.openBlob({ repository, digest }, never);
    const pieces: Uint8Array[] = [];
    for await (const piece of opened.read(0, opened.size, never)) pieces.push(Uint8Array.from(piece));
    return Buffer.concat(pieces);
  })();
  await new Promise((done) => setImmediate(done));
  resolve();
  await coming;
  assert.ok(bytes.equals(await reading));
  assert.equal(upstream.gets.length, 0);
});

test('a tag is what was imported, for every client, and says what it was', async () => {
  const content = start();
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = (text: string) => Buffer.from(JSON.stringify({ mediaType: type, config: {}, layers: [], text }));
  const image = { repository, tag: 'v1' };
  const digests: Digest[] = [];
  for (const text of ['old', 'new']) {
    const bytes = manifest(text);
    const digest = digestOf(bytes);
    await assert.rejects(content.importTag(image, digest, never), { code: 'IMPORT_REFUSED' });
    await content.importBlob(blob(digest, bytes.length, { mediaType: type }), inPieces(bytes), never);
    assert.equal(await content.importTag(image, digest, never), digests.at(-1));
    digests.push(digest);
    for (const accept of [[], ['*/*'], [type]]) {
      const got = await content.getManifest({ repository, reference: 'v1', accept }, never);
      assert.equal(got.digest, digest);
      assert.equal(got.staleFor, undefined);
    }
  }
});
