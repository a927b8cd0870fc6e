import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import type { Digest } from '../../../protocol/digest.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const TYPE = 'application/vnd.oci.image.manifest.v1+json';
const repository = { registry: 'docker.io', name: 'library/app' };
const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config: {}, layers: [] }));
const SETTINGS = { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000 };
/** Below the 5 s after which upstream is asked whatever the neighbours say. */
const SOON = 4_000;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
let digest: Digest;

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  digest = upstream.tag('latest', bytes, TYPE);
  const tags = memoryTags();
  const components = { store, upstream, swarm, tags, metrics: createMetrics(), logger: pino({ level: 'silent' }) };
  content = createContent(components, { ...SETTINGS, tags: () => ({ fresh: [], immutable: [] }) });
});

afterEach(() => content.stop());

const get = (within = SOON, from = repository) =>
  content.getManifest({ repository: from, reference: digest, accept: [] }, AbortSignal.timeout(within));

/** A neighbour that, asked for a lease, answers as given. */
function meet(peer: string, answer: FleetMessage = { type: 'grant', digest, segment: [0, 1], partners: [] }): void {
  swarm.meet(peer, {
    heard: (message) => {
      if (message.type === 'claim') setImmediate(() => swarm.say(peer, answer));
    },
  });
}

function fetches(peer: string): void {
  const none = { marks: new Uint8Array(1), mapped: null, received: 0 };
  swarm.say(peer, { type: 'taking', digest, size: null, leases: [[0, 1]], ...none });
}

/** Waits until this agent has told `type` of the manifest. */
async function told(type: FleetMessage['type']): Promise<void> {
  while (!swarm.told.some(({ message }) => message.type === type)) await new Promise(setImmediate);
}

test('with no neighbours nobody is waited for, or told', async () => {
  assert.equal((await get()).source, 'upstream');
  assert.deepEqual(swarm.told, []);
});

test('what a neighbour fetches is waited for, and taken from it', async () => {
  meet('other');
  fetches('other');
  const got = get();
  await told('taking');
  swarm.add('other', digest, { bytes });
  swarm.say('other', { type: 'left', digest });
  assert.equal((await got).source, 'peer');
  assert.deepEqual(upstream.manifestGets, []);
  await told('left');
});

test('a neighbour that gives it up: the lease is this agent’s', async () => {
  meet('other');
  fetches('other');
  const got = get();
  await told('taking');
  swarm.say('other', { type: 'left', digest });
  assert.equal((await got).source, 'upstream');
});

test('a neighbour that is gone: the lease is this agent’s', async () => {
  meet('other');
  fetches('other');
  const got = get();
  await told('taking');
  swarm.part('other');
  assert.equal((await got).source, 'upstream');
});

test('two that give it up are enough: nobody waits for a third', async () => {
  for (const peer of ['a', 'b', 'c']) {
    meet(peer);
    fetches(peer);
  }
  const got = get();
  await told('taking');
  swarm.say('a', { type: 'left', digest });
  swarm.say('b', { type: 'left', digest });
  assert.equal((await got).source, 'upstream');
});

test('neighbours that leave without having fetched say nothing of upstream', async () => {
  for (const peer of ['a', 'b', 'c']) meet(peer);
  fetches('c');
  const got = get();
  await told('taking');
  swarm.say('a', { type: 'left', digest });
  swarm.say('b', { type: 'left', digest });
  swarm.add('a', digest, { bytes, answersAfter: 5 });
  assert.equal((await got).source, 'peer');
});

test('a neighbour that fetches for ever holds a pull up by one stall', async () => {
  meet('other');
  const heartbeat = setInterval(() => fetches('other'), 500);
  fetches('other');
  try {
    assert.equal((await get(15_000)).source, 'upstream');
  } finally {
    clearInterval(heartbeat);
  }
});

for (const [how, answer] of [
  ['refuses everyone', { type: 'refuse', fetching: [], partners: [] }],
  ['names one that does not fetch', { type: 'refuse', fetching: ['other'], partners: [] }],
] as const) {
  test(`a coordinator that ${how} is passed over`, async () => {
    for (const peer of ['a', 'b', 'c', 'other'])
      meet(peer, { ...answer, digest, fetching: [...answer.fetching], partners: [] });
    assert.equal((await get()).source, 'upstream');
  });
}

test('coordinators that say nothing are passed over', async () => {
  for (const peer of ['a', 'b', 'c']) swarm.meet(peer);
  assert.equal((await get()).source, 'upstream');
});

test('the lease is kept until the neighbours know who holds the manifest', async () => {
  meet('other');
  assert.equal((await get()).source, 'upstream');
  const types = () => swarm.told.map(({ message }) => message.type);
  assert.ok(!types().includes('left'));
  const leased = swarm.told.some(({ message }) => message.type === 'taking' && message.leases.length > 0);
  assert.ok(leased);
  await told('left');
});

test('one that could not be stored is nobody’s to wait for', async () => {
  meet('other');
  store.put = () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
  assert.equal((await get()).source, 'upstream');
  assert.equal(swarm.told.at(-1)?.message.type, 'left');
});

for (const code of ['MANIFEST_UNKNOWN', 'UPSTREAM_DENIED', 'UPSTREAM_RATE_LIMITED'] as const) {
  test(`what upstream answers (${code}) reaches who asked, and the lease is free`, async () => {
    meet('other');
    upstream.away = code;
    await assert.rejects(get(), { code });
    assert.equal(swarm.told.at(-1)?.message.type, 'left');
  });
}

test('what one repository is denied another gets under the same lease; of the two one asks at a time', async () => {
  meet('other');
  let asking = 0;
  const { getManifest } = upstream;
  upstream.getManifest = async (from, ...rest) => {
    assert.equal(++asking, 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    asking--;
    if (from.name === 'private/app') throw new AgentError('UPSTREAM_DENIED', 'not yours');
    return getManifest(from, ...rest);
  };
  const denied = assert.rejects(get(SOON, { ...repository, name: 'private/app' }), { code: 'UPSTREAM_DENIED' });
  const got = await Promise.all([get(), get(SOON, { ...repository, name: 'copy/app' }), denied]);
  assert.deepEqual(
    got.slice(0, 2).map((each) => each?.source),
    ['upstream', 'store'],
  );
  assert.equal(upstream.manifestGets.length, 1);
});

test('a holder that is busy is asked again, not upstream', async () => {
  meet('other');
  let asked = 0;
  swarm.add('other', digest, {
    bytes,
    chunk: () => {
      if (asked++ < 3) throw new AgentError('PEER_BUSY', 'others first');
    },
  });
  assert.equal((await get()).source, 'peer');
  assert.deepEqual(upstream.manifestGets, []);
});

test('a false manifest of whoever fetched it: this agent asks itself', async () => {
  meet('other');
  fetches('other');
  const got = get();
  await told('taking');
  swarm.add('other', digest, { bytes: Buffer.from('{"layers":[]}') });
  swarm.say('other', { type: 'left', digest });
  assert.equal((await got).source, 'upstream');
  assert.deepEqual(swarm.strikes, [{ peer: 'other', offence: 'lied' }]);
});

test('a client that leaves frees the lease', async () => {
  meet('other');
  const leaving = new AbortController();
  upstream.getManifest = (_repository, _reference, _accept, signal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      leaving.abort(new Error('hung up'));
    });
  await assert.rejects(content.getManifest({ repository, reference: digest, accept: [] }, leaving.signal), /hung up/);
  await told('left');
});

test('the digest asked for as a blob meanwhile: both come', async () => {
  meet('other');
  fetches('other');
  const got = get();
  await told('taking');
  const blob = await content.openBlob({ repository, digest }, AbortSignal.timeout(SOON));
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(0, blob.size, AbortSignal.timeout(SOON))) pieces.push(Uint8Array.from(piece));
  assert.ok(bytes.equals(Buffer.concat(pieces)));
  assert.ok(bytes.equals((await got).bytes));
});
