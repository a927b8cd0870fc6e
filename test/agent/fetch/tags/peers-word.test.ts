import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../../agent/fetch/content.ts';
import type { TagSettings } from '../../../../agent/fetch/tags/freshness.ts';
import type { TagRecords } from '../../../../agent/fetch/tags/ports.ts';
import { createMetrics } from '../../../../agent/observe/metrics.ts';
import { type Digest, toDigest } from '../../../../protocol/digest.ts';
import { type AskedTag, type SignedTag, tagStatement } from '../../../../protocol/tag-record.ts';
import { memoryStore } from '../../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm, signatureOf } from '../../../support/memory-swarm.ts';
import { memoryTags } from '../../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../../support/memory-upstream.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MINUTE = 60_000;
const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;
const manifest = (of: string) => Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [], of }));
const digestOf = (bytes: Uint8Array) => toDigest('sha256', hash('sha256', bytes, 'buffer'));
const ours = manifest('ours');
const theirs = manifest('theirs');

let clock: number;
let settings: TagSettings;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let tags: TagRecords;
let content: LanContent;

beforeEach(() => {
  clock = 1_763_771_234_567;
  settings = { fresh: [{ pattern: '*', time: MINUTE }], immutable: [], fromPeers: 'always' };
  swarm = memorySwarm();
  swarm.isTrusted = true;
  upstream = memoryUpstream();
  tags = memoryTags();
  content = createContent(
    {
      store: memoryStore(),
      upstream,
      swarm,
      tags,
      metrics: createMetrics(),
      logger: pino({ level: 'silent' }),
      now: () => clock,
    },
    { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags: () => settings },
  );
});

afterEach(() => content.stop());

const wanted = { repository, reference: 'latest', accept: [] };
const get = () => content.getManifest(wanted, never);
const head = () => content.headManifest(wanted, never);

function signed(peer: string, asked: AskedTag, digest: Digest, checkedAt: number): SignedTag {
  const checked = { accept: asked.accept, digest, mediaType: INDEX, size: 7, checkedAt };
  return { ...checked, signer: peer, signature: signatureOf(peer, tagStatement(asked, checked)) };
}

/** A neighbour that holds `bytes` and says, of every tag, that this was it at `checkedAt`. */
function meet(peer: string, bytes: Uint8Array, checkedAt: number): void {
  const digest = digestOf(bytes);
  swarm.add(peer, digest, { bytes });
  swarm.meet(peer, { tag: (asked) => signed(peer, asked, digest, checkedAt) });
}

test('a word that is fresh by this host’s window answers, with the size and type of the manifest itself', async () => {
  meet('peer', theirs, clock - MINUTE + 1);
  const told = { staleFor: MINUTE - 1, toldBy: 'peer' };
  assert.deepEqual(await head(), { digest: digestOf(theirs), mediaType: INDEX, size: theirs.length, ...told });
  const { bytes, staleFor, toldBy } = await get();
  assert.ok(theirs.equals(bytes));
  assert.deepEqual({ staleFor, toldBy }, told);
  assert.equal(upstream.manifestHeads.length, 0);
});

test('it is not taken for what this host found: it is asked for again, and not passed on', async () => {
  meet('peer', theirs, clock);
  await get();
  const name = { registry: 'docker.io', repository: 'library/app', tag: 'latest' };
  assert.deepEqual(tags.find(name), []);
  assert.equal(swarm.tagTold({ ...name, accept: INDEX }), undefined);
  await get();
  assert.equal(swarm.askedTags.length, 2);
});

test('what this host found itself is fresh, or newer: no peer is asked, or none wins', async () => {
  upstream.tag('latest', ours, INDEX);
  await get();
  meet('peer', theirs, clock - 1);
  assert.ok(ours.equals((await get()).bytes));
  assert.deepEqual(swarm.askedTags, []);
  clock += MINUTE;
  upstream.away = 'UPSTREAM_UNREACHABLE';
  const { bytes, staleFor, toldBy } = await get();
  assert.ok(ours.equals(bytes));
  assert.deepEqual({ staleFor, toldBy }, { staleFor: MINUTE, toldBy: undefined });
});

test('a record from before the clock was put back gives way to a peer’s', async () => {
  upstream.tag('latest', ours, INDEX);
  await get();
  clock -= 10 * MINUTE;
  meet('peer', theirs, clock - MINUTE);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  assert.ok(theirs.equals((await get()).bytes));
});

test('who asks at once asks each peer once', async () => {
  settings = { ...settings, fromPeers: 'when-offline' };
  meet('one', theirs, clock - 1);
  meet('other', ours, clock - 2);
  upstream.away = 'UPSTREAM_FAILED';
  const answers = await Promise.all(Array.from({ length: 20 }, () => head()));
  assert.ok(answers.every(({ digest }) => digest === digestOf(theirs)));
  assert.deepEqual(swarm.askedTags.map(({ peer }) => peer).sort(), ['one', 'other']);
});

test('a peer that does not answer holds up neither upstream’s answer nor another peer’s', async () => {
  upstream.tag('latest', ours, INDEX);
  const isGone: boolean[] = [];
  swarm.meet('silent', {
    tag: (_asked, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          isGone.push(true);
          reject(signal.reason);
        });
      }),
  });
  assert.ok(ours.equals((await get()).bytes));
  assert.deepEqual(isGone, [true]);
  clock += 10 * MINUTE;
  meet('peer', theirs, clock);
  assert.ok(theirs.equals((await get()).bytes));
});

test('with no word from anybody, a slow upstream is waited for as ever', async () => {
  settings = { ...settings, fromPeers: 'when-offline' };
  upstream.tag('latest', ours, INDEX);
  swarm.meet('peer', {});
  const { promise, resolve } = Promise.withResolvers<void>();
  upstream.pause = () => promise;
  const answer = get();
  // Upstream has had its 2.5 s by then.
  while (swarm.askedTags.length === 0) await new Promise((done) => setTimeout(done, 20));
  upstream.pause = () => Promise.resolve();
  resolve();
  const { bytes, staleFor } = await answer;
  assert.ok(ours.equals(bytes));
  assert.equal(staleFor, undefined);
  assert.equal(upstream.manifestHeads.length, 1);
});

test('with a word in hand it is not: the pull goes on, and upstream is heard in the end', async () => {
  settings = { ...settings, fromPeers: 'when-offline' };
  upstream.tag('latest', ours, INDEX);
  meet('peer', theirs, clock - 5);
  const { promise, resolve } = Promise.withResolvers<void>();
  upstream.pause = () => promise;
  assert.equal((await get()).toldBy, 'peer');
  resolve();
  const name = { registry: 'docker.io', repository: 'library/app', tag: 'latest' };
  while (tags.peek(name).length === 0) await new Promise(setImmediate);
  assert.ok(ours.equals((await get()).bytes));
});

test('upstream’s no is told, and refresh asks no peer', async () => {
  settings = { ...settings, fromPeers: 'when-offline' };
  meet('peer', theirs, clock);
  for (const code of ['MANIFEST_UNKNOWN', 'UPSTREAM_DENIED'] as const) {
    upstream.away = code;
    await assert.rejects(get(), { code });
  }
  upstream.away = 'UPSTREAM_UNREACHABLE';
  await assert.rejects(content.refreshTag({ repository, tag: 'latest' }, never), { code: 'UPSTREAM_UNREACHABLE' });
  assert.deepEqual(swarm.askedTags, []);
});

test('a client that leaves while peers are asked is let go', async () => {
  swarm.meet('silent', {
    tag: (_asked, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  });
  const leaving = new AbortController();
  const left = assert.rejects(content.getManifest(wanted, leaving.signal), /hung up/);
  leaving.abort(new Error('hung up'));
  await left;
});
