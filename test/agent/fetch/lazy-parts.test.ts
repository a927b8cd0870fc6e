import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;
const SIZE = 20 * MIB;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
let bytes: Buffer;
let digest: Digest;

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  const logger = pino({ level: 'silent' });
  const components = { store, upstream, swarm, tags: memoryTags(), metrics: createMetrics(), logger };
  const tags = () => ({ fresh: [], immutable: [] });
  content = createContent(components, { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags });
  bytes = randomBytes(SIZE);
  digest = upstream.add(bytes);
});

afterEach(() => content.stop());

async function readPart(start: number, end: number, signal = never): Promise<Buffer> {
  const blob = await content.openBlob({ repository, digest }, signal);
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(start, end, signal, true)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Bytes that a body of the twin may give beyond what was asked for: one piece. */
const PIECE = 100_003;

test('a part of a blob that is not here is taken without the rest, and nothing of it is kept', async () => {
  for (const [start, end] of [
    [0, 2],
    [5 * MIB - 7, 6 * MIB + 9],
    [SIZE - 47, SIZE],
  ] as const) {
    assert.ok((await readPart(start, end)).equals(bytes.subarray(start, end)));
  }
  assert.equal(upstream.sent, 2 + MIB + 16 + 47);
  assert.equal(store.find(digest), undefined);
});

test('a part of a blob that is held, or on its way, comes from there', async () => {
  const whole = await content.openBlob({ repository, digest }, never);
  const reading = whole.read(0, SIZE, never);
  await reading.next();
  assert.ok((await readPart(7 * MIB, 8 * MIB)).equals(bytes.subarray(7 * MIB, 8 * MIB)));
  for await (const _ of reading);
  assert.ok((await readPart(100, 200)).equals(bytes.subarray(100, 200)));
  assert.equal(upstream.gets.length, 1);
  assert.equal(upstream.sent, SIZE);
});

test('parts that come to half of the blob are a pull: it is fetched whole, once, and kept', async () => {
  for (let start = 0; start < SIZE; start += MIB) {
    assert.ok((await readPart(start, start + MIB)).equals(bytes.subarray(start, start + MIB)));
  }
  assert.ok(store.find(digest) !== undefined);
  assert.ok(upstream.sent < 1.5 * SIZE, `${upstream.sent} bytes`);
});

test('a registry that knows no Range is not asked for parts: the whole is fetched once', async () => {
  upstream.isRangeless = true;
  assert.ok((await readPart(9 * MIB, 9 * MIB + 5)).equals(bytes.subarray(9 * MIB, 9 * MIB + 5)));
  assert.equal(upstream.sent <= SIZE, true);
});

test('with upstream away a part comes from a peer that has the whole', async () => {
  store.rememberDescriptors([{ digest, size: SIZE }]);
  swarm.add('peer-a', digest, { bytes });
  upstream.away = 'UPSTREAM_UNREACHABLE';
  assert.ok((await readPart(100, 200)).equals(bytes.subarray(100, 200)));
});

test('what upstream denies, or does not have, is told as it is, even where a peer holds it', async () => {
  store.rememberDescriptors([{ digest, size: SIZE }]);
  swarm.add('peer-a', digest, { bytes });
  for (const code of ['UPSTREAM_DENIED', 'BLOB_UNKNOWN'] as const) {
    upstream.away = code;
    await assert.rejects(readPart(100, 200), { code });
  }
  upstream.away = undefined;
  assert.equal((await readPart(100, 200)).length, 100);
});

test('a manifest that told a false size is found out', async () => {
  store.rememberDescriptors([{ digest, size: SIZE + MIB }]);
  await assert.rejects(readPart(100, 200), { code: 'UPSTREAM_FAILED' });
  assert.ok((await readPart(100, 200)).equals(bytes.subarray(100, 200)));
});

test('a client that leaves ends its request upstream', async () => {
  const client = new AbortController();
  let isAborted = false;
  upstream.pace = (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        isAborted = true;
        reject(signal.reason);
      });
      client.abort(new Error('gone'));
    });
  await assert.rejects(readPart(0, 100, client.signal));
  assert.equal(isAborted, true);
});

test('eight parts at once, and a client that leaves its piece lying makes room', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const slow: AsyncGenerator<Uint8Array, void>[] = [];
  for (let each = 0; each < 8; each++) {
    const blob = await content.openBlob({ repository, digest }, never);
    const reading = blob.read(0, 4 * PIECE, never, true);
    await reading.next();
    slow.push(reading);
  }
  let isThere = false;
  const ninth = readPart(0, 10).then(() => {
    isThere = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isThere, false);
  mock.timers.tick(10_000);
  await ninth;
  // Whoever was slow gets the rest all the same.
  let length = PIECE;
  for await (const piece of slow[0]!) length += piece.length;
  assert.equal(length, 4 * PIECE);
  await Promise.all(slow.map((each) => each.return()));
});
