import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../../agent/fetch/content.ts';
import type { TagSettings } from '../../../../agent/fetch/tags/freshness.ts';
import type { TagRecords } from '../../../../agent/fetch/tags/ports.ts';
import { createMetrics, type Metrics } from '../../../../agent/observe/metrics.ts';
import { type MemoryStore, memoryStore } from '../../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../../support/memory-swarm.ts';
import { memoryTags } from '../../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../../support/memory-upstream.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI = 'application/vnd.oci.image.manifest.v1+json';
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
const MINUTE = 60_000;
const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;
const manifest = (mediaType: string, of: string) =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: {}, layers: [], annotations: { of } }));
const old = manifest(INDEX, 'old');
const moved = manifest(INDEX, 'moved');

let clock: number;
let settings: TagSettings;
let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let tags: TagRecords;
let metrics: Metrics;
let content: LanContent;

beforeEach(() => {
  clock = 1_763_771_234_567;
  settings = { fresh: [{ pattern: '*', time: MINUTE }], immutable: [] };
  store = memoryStore();
  swarm = memorySwarm();
  swarm.hasNeighbours = false;
  upstream = memoryUpstream();
  upstream.tag('latest', old, INDEX);
  tags = memoryTags();
  start();
});

afterEach(() => content.stop());

function start(): void {
  metrics = createMetrics();
  const logger = pino({ level: 'silent' });
  content = createContent(
    { store, upstream, swarm, tags, metrics, logger, now: () => clock },
    { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags: () => settings },
  );
}

const wanted = (accept: string[] = [], reference = 'latest') => ({ repository, reference, accept });
const get = (...accept: string[]) => content.getManifest(wanted(accept), never);
const head = (...accept: string[]) => content.headManifest(wanted(accept), never);
const refresh = () => content.refreshTag({ repository, tag: 'latest' }, never);

async function answers(): Promise<Record<string, number>> {
  const { values } = await metrics.tagAnswers.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels.answer), value]));
}

/** Upstream that says nothing until `speak` is called. */
function silence(): { speak(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  upstream.pause = (signal) =>
    Promise.race([
      promise,
      new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    ]);
  return {
    speak() {
      upstream.pause = () => Promise.resolve();
      resolve();
    },
  };
}

test('within the window HEAD and GET ask upstream nothing', async () => {
  await get();
  clock += MINUTE - 1;
  assert.ok(old.equals((await get()).bytes));
  const { digest } = await get();
  assert.deepEqual(await head(), { digest, mediaType: INDEX, size: old.length });
  assert.equal(upstream.manifestHeads.length, 1);
  assert.equal(upstream.manifestGets.length, 1);
  assert.deepEqual(await answers(), { checked: 1, fresh: 3 });
});

test('after it one HEAD for all who ask at once, and what is as it was is fresh again', async () => {
  await get();
  clock += MINUTE;
  await Promise.all([get(), head(), get(), head()]);
  assert.equal(upstream.manifestHeads.length, 2);
  assert.equal(upstream.manifestGets.length, 1);
  clock += MINUTE - 1;
  await get();
  assert.equal(upstream.manifestHeads.length, 2);
});

test('of a manifest that is held HEAD says what GET does, whatever upstream says of it', async () => {
  upstream.tag('latest', manifest(OCI, 'mine'), DOCKER);
  const { headManifest } = upstream;
  upstream.headManifest = async (...asked) => ({ ...(await headManifest(...asked)), size: 7 });
  const { digest, mediaType, bytes } = await get();
  assert.equal(mediaType, OCI);
  for (const time of [0, MINUTE, 0]) {
    clock += time;
    assert.deepEqual(await head(), { digest, mediaType, size: bytes.length });
  }
  clock += MINUTE;
  upstream.away = 'UPSTREAM_UNREACHABLE';
  assert.deepEqual(await head(), { digest, mediaType, size: bytes.length, staleFor: MINUTE });
});

test('a tag that moved is seen after the window, and taken once', async () => {
  await get();
  upstream.tag('latest', moved, INDEX);
  assert.ok(old.equals((await get()).bytes));
  clock += MINUTE;
  assert.ok(moved.equals((await get()).bytes));
  assert.ok(moved.equals((await get()).bytes));
  assert.equal(upstream.manifestGets.length, 2);
});

test('what is known outlasts a restart', async () => {
  await get();
  await content.stop();
  start();
  assert.ok(old.equals((await get()).bytes));
  assert.equal(upstream.manifestHeads.length, 1);
});

test('a window of no time: what was not there is found, what moved is seen', async () => {
  settings = { fresh: [{ pattern: '*', time: 0 }], immutable: [] };
  upstream.remove('latest');
  await assert.rejects(get(), { code: 'MANIFEST_UNKNOWN' });
  upstream.tag('latest', old, INDEX);
  assert.ok(old.equals((await get()).bytes));
  upstream.tag('latest', moved, INDEX);
  assert.equal((await head()).digest, (await get()).digest);
  assert.ok(moved.equals((await get()).bytes));
});

test('that there is no such tag is never remembered', async () => {
  upstream.remove('latest');
  await assert.rejects(get(), { code: 'MANIFEST_UNKNOWN' });
  upstream.tag('latest', old, INDEX);
  assert.ok(old.equals((await get()).bytes));
});

test('what was found before the clock was put back does not stand before what was found since', async () => {
  await get(INDEX, OCI);
  clock -= 1000 * MINUTE;
  upstream.tag('latest', moved, INDEX);
  assert.ok(moved.equals((await get(INDEX)).bytes));
  assert.ok(moved.equals((await get(INDEX)).bytes));
  assert.deepEqual(await answers(), { checked: 2, fresh: 1 });
  clock += MINUTE;
  upstream.away = 'UPSTREAM_UNREACHABLE';
  assert.ok(moved.equals((await get(INDEX)).bytes));
  assert.ok(old.equals((await get(INDEX, OCI)).bytes), 'for want of anything better');
});

test('what never moves is asked for once, also long after', async () => {
  settings = { fresh: [], immutable: ['lat*'] };
  await get();
  upstream.tag('latest', moved, INDEX);
  clock += 1000 * MINUTE;
  assert.ok(old.equals((await get()).bytes));
  assert.equal(upstream.manifestHeads.length, 1);
});

test('who does not accept what the record is asks upstream, and is told what is theirs', async () => {
  await get(INDEX, OCI, DOCKER);
  const platform = manifest(DOCKER, 'one platform');
  upstream.tag('latest', platform, DOCKER);
  assert.ok(platform.equals((await get(DOCKER)).bytes));
  assert.equal(upstream.manifestHeads.length, 2);
  // And who accepts an index is not told the one platform now.
  assert.ok(old.equals((await get(INDEX, DOCKER)).bytes));
  assert.equal((await head(DOCKER)).mediaType, DOCKER);
  assert.equal(upstream.manifestHeads.length, 2);
  await get(INDEX, OCI, DOCKER, '*/*');
  assert.equal(upstream.manifestHeads.length, 3);
});

const AWAY = [
  'UPSTREAM_UNREACHABLE',
  'UPSTREAM_STALLED',
  'UPSTREAM_RATE_LIMITED',
  'UPSTREAM_FAILED',
  'ADDRESS_PRIVATE',
] as const;
for (const code of AWAY) {
  test(`upstream away (${code}): the last answer, with its age; with none, what went wrong`, async () => {
    const { digest } = await get();
    upstream.away = code;
    assert.equal((await get()).staleFor, undefined);
    clock += 5 * MINUTE;
    const stale = await get();
    assert.deepEqual({ digest: stale.digest, staleFor: stale.staleFor }, { digest, staleFor: 5 * MINUTE });
    assert.deepEqual(await head(), { digest, mediaType: INDEX, size: old.length, staleFor: 5 * MINUTE });
    assert.deepEqual(await answers(), { checked: 1, fresh: 1, stale: 2 });
    await assert.rejects(get(DOCKER), { code }, 'nothing is known for this client');
    await assert.rejects(content.getManifest(wanted([], 'other'), never), { code });
    upstream.away = undefined;
    assert.equal((await get()).staleFor, undefined);
  });
}

for (const code of ['MANIFEST_UNKNOWN', 'UPSTREAM_DENIED'] as const) {
  test(`upstream says no (${code}): that is told, and ends what was known`, async () => {
    await get();
    clock += MINUTE;
    upstream.away = code;
    await assert.rejects(get(), { code });
    await assert.rejects(head(), { code });
    upstream.away = 'UPSTREAM_UNREACHABLE';
    await assert.rejects(get(), { code: 'UPSTREAM_UNREACHABLE' });
  });
}

test('that there is nothing for a client that accepts little says nothing to others', async () => {
  await get(INDEX, DOCKER);
  upstream.away = 'MANIFEST_UNKNOWN';
  await assert.rejects(get(DOCKER), { code: 'MANIFEST_UNKNOWN' });
  assert.ok(old.equals((await get(INDEX, DOCKER)).bytes));
});

test('upstream away and the manifest not held: a peer’s, by its digest; from nobody, no answer', async () => {
  const { digest } = await get();
  await store.remove(digest);
  clock += MINUTE;
  upstream.away = 'UPSTREAM_UNREACHABLE';
  await assert.rejects(head(), { code: 'UPSTREAM_UNREACHABLE' });
  swarm.hasNeighbours = true;
  swarm.add('peer', digest, { bytes: old });
  assert.deepEqual(await head(), { digest, mediaType: INDEX, size: old.length, staleFor: MINUTE });
  const got = await get();
  assert.ok(old.equals(got.bytes));
  assert.equal(got.staleFor, MINUTE);
});

test('what is fresh but neither held nor upstream any more is asked for anew', async () => {
  const { digest } = await get();
  await store.remove(digest);
  upstream.remove(digest);
  upstream.tag('latest', moved, INDEX);
  assert.ok(moved.equals((await get()).bytes));
});

test('what is fresh but not held, and refused upstream: that is told, and nothing is known any more', async () => {
  const { digest } = await get();
  await store.remove(digest);
  upstream.away = 'UPSTREAM_DENIED';
  await assert.rejects(head(), { code: 'UPSTREAM_DENIED' });
  assert.deepEqual(tags.find({ registry: 'docker.io', repository: 'library/app', tag: 'latest' }), []);
});

test('upstream silent: the last answer after a while, at once to who comes later, and it is heard in the end', async () => {
  await get();
  upstream.tag('latest', moved, INDEX);
  clock += MINUTE;
  const { speak } = silence();
  const since = performance.now();
  const stale = await get();
  assert.ok(old.equals(stale.bytes));
  assert.equal(stale.staleFor, MINUTE);
  assert.ok((await head()).staleFor);
  // The budget is 2.5 s, and spent once.
  assert.ok(performance.now() - since < 3 * 2500);
  assert.equal(upstream.manifestHeads.length, 2);
  speak();
  while (tags.find({ registry: 'docker.io', repository: 'library/app', tag: 'latest' })[0]?.checkedAt !== clock) {
    await new Promise(setImmediate);
  }
  assert.ok(moved.equals((await get()).bytes));
  assert.equal(upstream.manifestHeads.length, 2);
});

test('a client that leaves a silent upstream is let go, and stopping ends the question', async () => {
  await get();
  clock += MINUTE;
  silence();
  const leaving = new AbortController();
  const left = assert.rejects(content.getManifest(wanted(), leaving.signal), /hung up/);
  const stopped = assert.rejects(get(), { code: 'DRAINING' });
  leaving.abort(new Error('hung up'));
  await left;
  await content.stop();
  await stopped;
});

test('a registry that tells no digest is known by its validator, unless that is a weak one', async () => {
  upstream.etag = '"one"';
  await get();
  assert.deepEqual(upstream.manifestGets, ['latest']);
  clock += MINUTE;
  assert.ok(old.equals((await get()).bytes));
  assert.deepEqual(upstream.manifestGets, ['latest']);
  upstream.etag = '"two"';
  upstream.tag('latest', moved, INDEX);
  clock += MINUTE;
  assert.ok(moved.equals((await get()).bytes));
  assert.equal(upstream.manifestGets.length, 2);
  upstream.etag = 'W/"three"';
  for (let round = 0; round < 2; round++) {
    clock += MINUTE;
    await get();
  }
  assert.equal(upstream.manifestGets.length, 4);
});

test('refresh asks at once, and all are told what it found', async () => {
  settings = { fresh: [], immutable: ['*'] };
  const first = await refresh();
  assert.equal(first.was, undefined);
  const { digest } = await get(INDEX, DOCKER);
  assert.equal(first.is.digest, digest);
  clock += 500;
  upstream.tag('latest', moved, INDEX);
  const { was, is } = await refresh();
  assert.deepEqual(was, { digest, checkedAt: clock - 500 });
  assert.notEqual(is.digest, digest);
  for (const accept of [[], [INDEX, DOCKER], [INDEX]]) assert.equal((await head(...accept)).digest, is.digest);
});

test('refresh: what upstream says no to is known no more; where it is away, all stays', async () => {
  await get();
  upstream.away = 'UPSTREAM_UNREACHABLE';
  await assert.rejects(refresh(), { code: 'UPSTREAM_UNREACHABLE' });
  assert.ok(old.equals((await get()).bytes));
  upstream.away = 'UPSTREAM_DENIED';
  await assert.rejects(refresh(), { code: 'UPSTREAM_DENIED' });
  await assert.rejects(get(), { code: 'UPSTREAM_DENIED' });
});
