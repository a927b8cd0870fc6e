import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../../protocol/digest.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
/** The store opens no partial before this is called. */
let openPartials: () => void;

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  swarm.isTrusted = true;
  upstream = memoryUpstream();
  const { promise: mayOpen, resolve } = Promise.withResolvers<void>();
  openPartials = resolve;
  const { openPartial } = store;
  store.openPartial = async (digest, size, signal) => {
    await mayOpen;
    return await openPartial.call(store, digest, size, signal);
  };
  content = createContent(
    { store, upstream, swarm, tags: memoryTags(), metrics: createMetrics(), logger: pino({ level: 'silent' }) },
    { lookupTimeout: 1_000, leaseTimeout: 250, holdFor: 60_000, tags: () => ({ fresh: [], immutable: [] }) },
  );
});

afterEach(() => {
  openPartials();
  return content.stop();
});

async function read(digest: Digest, from = 0): Promise<Buffer> {
  const opened = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of opened.read(from, opened.size, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const blob = (chunks: number) => randomBytes(chunks * MIB - 1234);

const digestOf = (bytes: Uint8Array) => toDigest('sha256', createHash('sha256').update(bytes).digest());

const soon = () => new Promise<'soon'>((resolve) => setTimeout(resolve, 100, 'soon'));

/** A holder, and what it was asked for. */
function holder(
  digest: Digest,
  bytes: Uint8Array,
  chunk?: (index: number, signal: AbortSignal) => Promise<void> | void,
) {
  const asked: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  swarm.add('holder', digest, {
    bytes,
    chunk(index, signal) {
      asked.push(index);
      resolve();
      return chunk?.(index, signal);
    },
  });
  return { asked, first: promise };
}

test('the chunk a client waits for is asked for while the partial is being opened, and no second time', async () => {
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const { asked, first } = holder(digest, bytes);
  const reading = read(digest, 2 * MIB + 5);
  await first;
  assert.deepEqual(asked, [2], 'the one the client begins with');
  openPartials();
  assert.ok(bytes.subarray(2 * MIB + 5).equals(await reading));
  assert.deepEqual(asked.toSorted(), [0, 1, 2, 3]);
  assert.equal(upstream.sent, 0);
});

test('without a network key, where no client sees a chunk before all have come, nothing is asked early', async () => {
  swarm.isTrusted = false;
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  const { asked, first } = holder(digest, bytes);
  const reading = read(digest);
  assert.equal(await Promise.race([first, soon()]), 'soon');
  openPartials();
  assert.ok(bytes.equals(await reading));
  assert.deepEqual(asked.toSorted(), [0, 1, 2]);
});

test('it is verified like any other: wrong bytes reach nobody, and who sent them is found out', async () => {
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  const wrong = Buffer.from(bytes);
  wrong[7] = (wrong[7] as number) ^ 1;
  swarm.add('liar', digest, { bytes: wrong, mapOf: bytes });
  const reading = read(digest);
  await soon();
  openPartials();
  assert.ok(bytes.equals(await reading));
  assert.ok(swarm.isBanned('liar'));
});

test('a holder that no longer has it is left, and the blob comes from upstream', async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  holder(digest, bytes, () => {
    throw new AgentError('PEER_MISSING', 'as the script says');
  });
  const reading = read(digest);
  await soon();
  openPartials();
  assert.ok(bytes.equals(await reading));
  assert.equal(upstream.sent, bytes.length);
});

test('what is there from an earlier run is not waited for, and asking for it ends', async () => {
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  openPartials();
  const partial = await store.openPartial(digest, bytes.length, never);
  await partial.write(0, bytes.subarray(0, MIB));
  await partial.mark(0, createHash('sha256').update(bytes.subarray(0, MIB)).digest(), 'upstream');
  await partial.close();
  let ended = false;
  holder(digest, bytes, (index, signal) => {
    if (index !== 0) return;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        ended = true;
        reject(signal.reason);
      });
    });
  });
  assert.equal(digestOf(await read(digest)), digest);
  assert.ok(ended);
});

test('a pull that nobody waits for any more ends what was asked early', async () => {
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  let ended = false;
  const { first } = holder(
    digest,
    bytes,
    (_, signal) =>
      new Promise((__, reject) => {
        signal.addEventListener('abort', () => {
          ended = true;
          reject(signal.reason);
        });
      }),
  );
  const reading = read(digest).catch(() => 'ended');
  await first;
  openPartials();
  await content.stop();
  assert.equal(await reading, 'ended');
  assert.ok(ended);
});
