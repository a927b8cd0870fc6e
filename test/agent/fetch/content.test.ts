import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import type { FetchInit } from '../../../agent/fetch/init.ts';
import { PROVEN_AFTER } from '../../../agent/fetch/proven.ts';
import { createMetrics, type Metrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../../protocol/digest.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { failsFrom, type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
/** Every request for a tag asks upstream. */
const tags = () => ({ fresh: [{ pattern: '*', time: 0 }], immutable: [] });
const SETTINGS: FetchInit = { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags };
const never = new AbortController().signal;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
let logged: Record<string, unknown>[];
let metrics: Metrics;
const open: LanContent[] = [];

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  content = start();
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
});

function start(over: Partial<FetchInit> = {}): LanContent {
  logged = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  metrics = createMetrics();
  const components = { store, upstream, swarm, tags: memoryTags(), metrics, logger };
  const created = createContent(components, { ...SETTINGS, ...over });
  open.push(created);
  return created;
}

async function read(digest: Digest, from = 0, to?: number): Promise<Buffer> {
  const blob = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(from, to ?? blob.size, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Never ends but by the signal, as a peer or registry that says nothing. */
const hang = (signal: AbortSignal) =>
  new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

const digestOf = (bytes: Uint8Array) => toDigest('sha256', createHash('sha256').update(bytes).digest());

const blob = (chunks: number) => randomBytes(chunks * MIB - 1234);

test('a blob comes from upstream once for all who want it at once, and from the store after', async () => {
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  const got = await Promise.all([read(digest), read(digest), read(digest)]);
  for (const each of got) assert.ok(bytes.equals(each));
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.gets.length, 1);
  assert.equal(upstream.sent, bytes.length);
});

test('a blob that a peer holds never touches upstream but for its size, and the log names the peer', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  swarm.add('peer-a', digest, { bytes });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.gets.length, 0);
  assert.ok(logged.some((line) => line.msg === 'blob fetched' && 'peer-a' in (line.from as object)));
});

test('a partial that opens late, on a busy disk, is no reason to leave a holder for upstream', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  swarm.add('peer-a', digest, { bytes });
  const openPartial = store.openPartial.bind(store);
  store.openPartial = async (...wanted) => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    return openPartial(...wanted);
  };
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.gets.length, 0);
});

test('who has come to hold the blob since it was looked for is taken from, and not upstream', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  swarm.announce('peer-a', digest, { bytes });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.gets.length, 0);
});

test('who only says to have come to hold it keeps nobody from upstream', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const chunk = () => {
    throw new AgentError('PEER_MISSING', 'the peer no longer has the blob');
  };
  swarm.announce('peer-a', digest, { bytes, chunk });
  assert.ok(bytes.equals(await read(digest)));
});

test('with nobody about, upstream starts without a look-up', async () => {
  swarm.hasNeighbours = false;
  swarm.holders = () => assert.fail('nobody is there to ask');
  const bytes = blob(1);
  assert.ok(bytes.equals(await read(upstream.add(bytes))));
});

test('a look-up that finds nobody and never ends holds a pull no longer than its time-out', async () => {
  swarm.keepsLooking = true;
  const bytes = blob(1);
  const started = performance.now();
  assert.ok(bytes.equals(await read(upstream.add(bytes))));
  assert.ok(performance.now() - started < 3 * 100 + 200);
});

for (const code of ['PEER_UNREACHABLE', 'PEER_STALLED', 'PEER_MISSING', 'PEER_PROTOCOL'] as const) {
  test(`a peer that fails in mid-blob (${code}): upstream gives only the rest`, async () => {
    const bytes = blob(6);
    const digest = upstream.add(bytes);
    swarm.add('peer-a', digest, { bytes, chunk: failsFrom(3, code) });
    assert.ok(bytes.equals(await read(digest)));
    assert.deepEqual(upstream.gets, [{ digest, offset: 3 * MIB }]);
    assert.equal(upstream.sent, bytes.length - 3 * MIB);
  });
}

test('a second holder goes on where the first one failed', async () => {
  const bytes = blob(6);
  const digest = upstream.add(bytes);
  swarm.add('a', digest, { bytes, chunk: failsFrom(2, 'PEER_UNREACHABLE') });
  swarm.add('bb', digest, { bytes });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.gets.length, 0);
  assert.equal(swarm.given.get('bb')?.length, 4);
});

test('a busy peer is asked again, and nobody is blamed', async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  store.rememberDescriptors([{ digest, size: bytes.length }]);
  let busy = 0;
  swarm.add('a', digest, {
    bytes,
    chunk: () => {
      if (busy++ < 1) throw new AgentError('PEER_BUSY', 'queue full');
    },
  });
  assert.ok(bytes.equals(await read(digest)));
  assert.deepEqual(swarm.strikes, []);
});

test('a holder that is found while another gives its map is asked too, though the look-up goes on', async () => {
  const bytes = blob(20);
  const digest = upstream.add(bytes);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  store.rememberDescriptors([{ digest, size: bytes.length }]);
  swarm.keepsLooking = true;
  swarm.add('a', digest, { bytes, map: () => sleep(100), chunk: () => sleep(200) });
  swarm.add('b', digest, { bytes, answersAfter: 30 });
  assert.ok(bytes.equals(await read(digest)));
  assert.ok((swarm.given.get('b')?.length ?? 0) > 0, 'b gave none');
});

test('however often peers are busy, the buffers that chunks come into are few', async () => {
  const bytes = blob(12);
  const digest = upstream.add(bytes);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  store.rememberDescriptors([{ digest, size: bytes.length }]);
  let answers = 0;
  for (const peer of ['a', 'b']) {
    swarm.add(peer, digest, {
      bytes,
      chunk: () => {
        answers += 1;
        if (answers % 4 !== 0) throw new AgentError('PEER_BUSY', 'queue full');
      },
    });
  }
  assert.ok(bytes.equals(await read(digest)));
  assert.ok(answers >= 40, `${answers} answers`);
  const made = (await metrics.chunkBuffers.get()).values[0]?.value ?? 0;
  // Twelve may be on their way at a time.
  assert.ok(made <= 12, `${made} buffers for ${answers} answers`);
});

test('a flipped chunk is refused, its sender named and struck, the bytes right', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(2 * MIB + 5) ^ 1, 2 * MIB + 5);
  swarm.add('liar', digest, { bytes: flipped, mapOf: bytes });
  assert.ok(bytes.equals(await read(digest)));
  assert.deepEqual(swarm.strikes, [{ peer: 'liar', offence: 'lied' }]);
  assert.ok(logged.some((line) => line.peer === 'liar'));
  assert.equal(store.find(digest)?.size, bytes.length);
});

test('a false map whose chunks match it: nothing false is shown or kept, and the liar is shut out', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  swarm.add('liar', digest, { bytes: blob(4) });
  assert.ok(bytes.equals(await read(digest)));
  assert.ok(swarm.isBanned('liar'));
  assert.equal(upstream.sent, bytes.length);
});

test('a false map beside chunks from upstream: the liar is found once the truth is known', async () => {
  const bytes = blob(6);
  const digest = upstream.add(bytes);
  const half = Buffer.concat([bytes.subarray(0, 2 * MIB), randomBytes(bytes.length - 2 * MIB)]);
  swarm.add('liar', digest, { bytes: half, answersAfter: 150 });
  upstream.pace = () => new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(bytes.equals(await read(digest)));
  assert.ok(swarm.isBanned('liar'));
});

test('with a key, too, what somebody sends who was never right yet waits for the whole', async () => {
  swarm.isTrusted = true;
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  swarm.add('new', digest, { bytes, chunk: (index, signal) => (index === 2 ? hang(signal) : undefined) });
  const opened = await content.openBlob({ repository, digest }, never);
  const first = opened.read(0, bytes.length, never).next();
  const waited = new Promise((resolve) => setTimeout(resolve, 200, 'nothing'));
  assert.equal(await Promise.race([first, waited]), 'nothing');
  await content.stop();
  await assert.rejects(first);
});

test('what one stranger sends is shown only when the whole has matched', async () => {
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  let release: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  swarm.add('a', digest, { bytes, chunk: (index) => (index === 2 ? gate : undefined) });
  const opened = await content.openBlob({ repository, digest }, never);
  const reading = opened.read(0, bytes.length, never);
  const first = reading.next();
  const early = await Promise.race([first.then(() => 'shown'), new Promise((r) => setTimeout(r, 100, 'held'))]);
  assert.equal(early, 'held');
  release?.();
  assert.ok(!(await first).done);
  await reading.return();
});

/** Blobs came from the peer, and were what it had said. */
async function prove(peer: string, chunks: number): Promise<void> {
  const earlier = blob(chunks);
  swarm.add(peer, upstream.add(earlier), { bytes: earlier });
  await read(digestOf(earlier));
}

const hangsAt2 = (index: number, signal: AbortSignal) => (index === 2 ? hang(signal) : undefined);

for (const [why, prepare] of [
  [
    'the fleet shares a key and the peer was right before',
    async () => {
      swarm.isTrusted = true;
      await prove('a', PROVEN_AFTER);
    },
  ],
  [
    'two addresses gave the same map, one of which was right before',
    async (digest: Digest, bytes: Buffer) => {
      await prove('a', PROVEN_AFTER);
      swarm.add('bb', digest, { bytes, chunk: hangsAt2 });
    },
  ],
  [
    'the client has waited long enough',
    () => {
      content = start({ holdFor: 50 });
    },
  ],
] as const) {
  test(`chunks from a peer are shown at once where ${why}`, async () => {
    const bytes = blob(3);
    const digest = upstream.add(bytes);
    swarm.add('a', digest, { bytes, chunk: hangsAt2 });
    await prepare(digest, bytes);
    const opened = await content.openBlob({ repository, digest }, never);
    const reading = opened.read(0, bytes.length, never);
    const { value } = await reading.next();
    assert.ok(value !== undefined && bytes.subarray(0, value.length).equals(value));
    await reading.return();
  });
}

for (const [why, prepare] of [
  ['the fleet shares a key, and its peer was right about a small layer only', () => prove('a', PROVEN_AFTER - 1)],
  [
    'the fleet shares a key, and its peer was right about other blobs since the blob was begun',
    async (digest: Digest) => {
      const begun = await content.openBlob({ repository, digest }, never);
      begun
        .read(0, 1, never)
        .next()
        .catch(() => {});
      await prove('a', PROVEN_AFTER);
    },
  ],
  [
    'two addresses gave the same map, neither of which was right before',
    (digest: Digest, bytes: Buffer) => {
      swarm.isTrusted = false;
      swarm.add('bb', digest, { bytes, chunk: hangsAt2 });
    },
  ],
] as const) {
  test(`chunks from a peer are held back where ${why}`, async () => {
    swarm.isTrusted = true;
    const bytes = blob(4);
    const digest = upstream.add(bytes);
    const { promise: hangs, resolve } = Promise.withResolvers<void>();
    const chunk = (index: number, signal: AbortSignal) => {
      if (index === 2) resolve();
      return hangsAt2(index, signal);
    };
    swarm.add('a', digest, { bytes, chunk });
    await prepare(digest, bytes);
    const opened = await content.openBlob({ repository, digest }, never);
    const first = opened.read(0, bytes.length, never).next();
    await hangs;
    assert.equal(await Promise.race([first, sleep(100, 'held' as const)]), 'held');
    await content.stop();
    await assert.rejects(first);
  });
}

test('bytes from upstream are shown while their chunk is still coming', async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  let pieces = 0;
  upstream.pace = (signal) => (pieces++ < 2 ? Promise.resolve() : hang(signal));
  const opened = await content.openBlob({ repository, digest }, never);
  const reading = opened.read(0, bytes.length, never);
  const { value } = await reading.next();
  assert.ok(value !== undefined && value.length > 0 && value.length < MIB);
  await reading.return();
});

test('upstream that sends other bytes: a clear error, nothing kept', async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  upstream.wrong = randomBytes(bytes.length);
  await assert.rejects(read(digest), { code: 'UPSTREAM_MISMATCH' });
  assert.equal(store.find(digest), undefined);
  upstream.wrong = undefined;
  assert.ok(bytes.equals(await read(digest)));
});

test('a look-up that ends with nobody once upstream has refused ends the pull', { timeout: 10_000 }, async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  swarm.add('other', digest, { bytes, claimedSize: 7, answersAfter: 400 });
  const opened = await content.openBlob({ repository, digest }, never);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  await assert.rejects(opened.read(0, opened.size, never).next(), { code: 'UPSTREAM_UNREACHABLE' });
});

test('upstream that breaks for good: the error reaches the client, and what came stays', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  upstream.breakAt = 2 * MIB + 10;
  await assert.rejects(read(digest), { code: 'UPSTREAM_FAILED' });
  upstream.breakAt = undefined;
  upstream.gets.length = 0;
  assert.ok(bytes.equals(await read(digest)));
  assert.deepEqual(upstream.gets, [{ digest, offset: 2 * MIB }]);
});

test('upstream away: a peer’s word gives the size, and the whole is verified before it is told', async () => {
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  upstream.away = 'UPSTREAM_UNREACHABLE';
  swarm.add('liar', digest, { bytes: blob(2) });
  swarm.add('honest', digest, { bytes });
  const opened = await content.openBlob({ repository, digest }, never);
  assert.equal(opened.size, bytes.length);
  assert.notEqual(store.find(digest), undefined);
});

test('upstream away and nobody has it: the error is upstream’s', async () => {
  const digest = upstream.add(blob(1));
  upstream.away = 'UPSTREAM_UNREACHABLE';
  await assert.rejects(content.openBlob({ repository, digest }, never), { code: 'UPSTREAM_UNREACHABLE' });
});

test('a range is served from where it starts, not after all that lies before it', async () => {
  const bytes = blob(8);
  const digest = upstream.add(bytes);
  const from = 6 * MIB + 100;
  assert.ok(bytes.subarray(from).equals(await read(digest, from)));
  assert.equal(upstream.gets[0]?.offset, 6 * MIB);
});

test('a client that leaves stops nobody else', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const leaving = new AbortController();
  const opened = await content.openBlob({ repository, digest }, never);
  const left = (async () => {
    for await (const _ of opened.read(0, bytes.length, leaving.signal)) leaving.abort(new Error('hung up'));
  })();
  const [outcome, whole] = await Promise.allSettled([left, read(digest)]);
  assert.equal(outcome.status, 'rejected');
  assert.ok(whole.status === 'fulfilled' && bytes.equals(whole.value));
  assert.equal(upstream.gets.length, 1);
});

test('a blob that rots is mended in mid-response', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  await read(digest);
  store.rot(digest, 2 * MIB + 1);
  assert.ok(bytes.equals(await read(digest)));
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.gets.length, 2);
});

test('a slow reader outlives the commit, which lets go of the partial before it is over', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const { openPartial } = store;
  store.openPartial = async (...given) => {
    const partial = await openPartial.apply(store, given);
    const { commit } = partial;
    partial.commit = async (mediaType) => {
      const held = await commit.call(partial, mediaType);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return held;
    };
    return partial;
  };
  const opened = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of opened.read(0, bytes.length, never)) {
    pieces.push(Buffer.from(piece));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(bytes.equals(Buffer.concat(pieces)));
});

test('an empty blob', async () => {
  const digest = upstream.add(Buffer.alloc(0));
  assert.equal((await read(digest)).length, 0);
});

const manifest = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: {}, layers: [] }),
);

test('a manifest by tag asks upstream what the tag is, each time, and takes the content once', async () => {
  upstream.tag('latest', manifest, 'application/vnd.oci.image.manifest.v1+json');
  for (let round = 0; round < 3; round++) {
    const got = await content.getManifest({ repository, reference: 'latest', accept: [] }, never);
    assert.ok(manifest.equals(got.bytes));
    assert.equal(got.mediaType, 'application/vnd.oci.image.manifest.v1+json');
  }
  assert.equal(upstream.manifestGets.length, 1);
});

test('a manifest by digest comes from a peer, also with upstream away; a tag does not', async () => {
  const digest = upstream.tag('latest', manifest, 'application/vnd.oci.image.manifest.v1+json');
  upstream.away = 'UPSTREAM_UNREACHABLE';
  swarm.add('a', digest, { bytes: manifest });
  const got = await content.getManifest({ repository, reference: digest, accept: [] }, never);
  assert.ok(manifest.equals(got.bytes));
  const byTag = content.getManifest({ repository, reference: 'latest', accept: [] }, never);
  await assert.rejects(byTag, { code: 'UPSTREAM_UNREACHABLE' });
});

test('a false manifest from a peer is refused, its sender struck', async () => {
  const digest = upstream.tag('latest', manifest, 'application/vnd.oci.image.manifest.v1+json');
  swarm.add('liar', digest, { bytes: Buffer.from('{"manifests":[]}') });
  const got = await content.getManifest({ repository, reference: digest, accept: [] }, never);
  assert.ok(manifest.equals(got.bytes));
  assert.ok(swarm.isBanned('liar'));
});

test('HEAD downloads nothing', async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  upstream.tag('latest', manifest, 'application/vnd.oci.image.manifest.v1+json');
  assert.deepEqual(await content.headBlob({ repository, digest }, never), { size: bytes.length });
  const head = await content.headManifest({ repository, reference: 'latest', accept: [] }, never);
  assert.equal(head.size, manifest.length);
  assert.equal(upstream.sent, 0);
  assert.equal(upstream.manifestGets.length, 0);
});

test('stopping ends readers with an error and lets go of everything', async () => {
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  upstream.pace = () => new Promise((resolve) => setTimeout(resolve, 10));
  const reading = assert.rejects(read(digest), { code: 'DRAINING' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await content.stop();
  await reading;
});

test('a registry that says a blob is empty is believed only where the digest is that of nothing', async () => {
  const none = Buffer.alloc(0);
  assert.equal((await read(upstream.add(none))).length, 0);
  const digest = upstream.add(blob(1));
  upstream.headBlob = async () => ({ size: 0 });
  await assert.rejects(read(digest), { code: 'UPSTREAM_MISMATCH' });
  assert.equal(store.find(digest), undefined);
});

test('a manifest that cannot be stored is served all the same', async () => {
  const bytes = Buffer.from('{"layers":[]}');
  const digest = upstream.tag('latest', bytes, 'application/vnd.oci.image.manifest.v1+json');
  store.put = () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
  const got = await content.getManifest({ repository, reference: digest, accept: [] }, never);
  assert.ok(bytes.equals(got.bytes));
  assert.ok(logged.some((line) => line.msg === 'manifest not stored'));
});

test('upstream is asked once for the size of a blob, and for a tag, by all who want it at once', async () => {
  const bytes = blob(1);
  const digest = upstream.add(bytes);
  upstream.tag('latest', Buffer.from('{"layers":[]}'), 'application/vnd.oci.image.manifest.v1+json');
  const { headBlob, headManifest } = upstream;
  let heads = 0;
  const counted =
    <Args extends unknown[], Result>(head: (...args: Args) => Promise<Result>) =>
    async (...args: Args) => {
      heads++;
      await new Promise(setImmediate);
      return head(...args);
    };
  upstream.headBlob = counted(headBlob);
  upstream.headManifest = counted(headManifest);
  await Promise.all([read(digest), read(digest), content.headBlob({ repository, digest }, never)]);
  assert.equal(heads, 1);
  const tag = { repository, reference: 'latest', accept: [] };
  await Promise.all([
    content.getManifest(tag, never),
    content.getManifest(tag, never),
    content.headManifest(tag, never),
  ]);
  assert.equal(heads, 2);
});

test('a false size that some manifest told fails one pull, not all', async () => {
  for (const [index, delta] of [1, -1, MIB].entries()) {
    const bytes = Buffer.concat([blob(2), Buffer.from([index])]);
    const digest = upstream.add(bytes);
    store.rememberDescriptors([{ digest, size: bytes.length + delta }]);
    await assert.rejects(read(digest), { code: 'UPSTREAM_FAILED' });
    assert.ok(bytes.equals(await read(digest)));
  }
});

test('a false size that upstream told for a while is not remembered', async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  store.rememberDescriptors([{ digest, size: bytes.length }]);
  for (const length of [1, bytes.length - 1, bytes.length + MIB]) {
    upstream.wrong = Buffer.alloc(length);
    await assert.rejects(read(digest), { code: /^UPSTREAM_(FAILED|MISMATCH)$/ });
  }
  upstream.wrong = undefined;
  assert.ok(bytes.equals(await read(digest)));
});

test('a peer that never comes to the end of a manifest holds the pull no longer than a stall', async () => {
  const bytes = Buffer.from('{"layers":[]}');
  const digest = upstream.tag('latest', bytes, 'application/vnd.oci.image.manifest.v1+json');
  swarm.add('dripping', digest, { bytes, chunk: (_index, signal) => hang(signal) });
  const got = await content.getManifest({ repository, reference: digest, accept: [] }, AbortSignal.timeout(10_000));
  assert.ok(bytes.equals(got.bytes));
  assert.equal(got.source, 'upstream');
  assert.deepEqual(swarm.strikes, [{ peer: 'dripping', offence: 'stalled' }]);
});
