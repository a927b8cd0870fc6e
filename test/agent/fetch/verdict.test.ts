import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { bitmapOf, fullBitmap } from '../../../protocol/bitmap.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { markStatement } from '../../../protocol/mark.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm, signatureOf } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const DENIED = { registry: 'docker.io', name: 'group/denied' };
const PUBLIC = { registry: 'docker.io', name: 'library/app' };
const COUNT = 3;
const bytes = randomBytes(COUNT * MIB);
const never = new AbortController().signal;

/** One of the chunks that come from a neighbour is false: the whole does not match, and only upstream could say why. */
let digest: Digest;
let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
/** Resolves once the liar has given all. */
let given: Promise<void>;

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  upstream = memoryUpstream();
  digest = upstream.add(bytes);
  store.rememberDescriptors([{ digest, size: bytes.length }]);
  const logger = pino({ level: 'silent' });
  content = createContent(
    { store, upstream, swarm, tags: memoryTags(), metrics: createMetrics(), logger },
    { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags: () => ({ fresh: [], immutable: [] }) },
  );
  const all = Promise.withResolvers<void>();
  given = all.promise;
  let left = COUNT;
  swarm.meet('liar', {
    chunk: (_digest, index) => {
      const chunk = index === 1 ? randomBytes(MIB) : bytes.subarray(index * MIB, (index + 1) * MIB);
      const statement = markStatement(digest, bytes.length, index, hash('sha256', chunk, 'buffer'));
      if (--left === 0) all.resolve();
      return { bytes: chunk, mark: { signer: 'liar', signature: signatureOf('liar', statement) } };
    },
  });
  offers(true);
});

afterEach(() => content.stop());

function offers(isThere: boolean): void {
  const marks = isThere ? fullBitmap(COUNT) : bitmapOf(COUNT);
  swarm.say('liar', { type: 'taking', digest, size: bytes.length, marks, mapped: null, leases: [], received: 0 });
}

async function read(repository = PUBLIC): Promise<Buffer> {
  const blob = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(0, blob.size, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test('a false chunk with upstream away ends the pull with one clear error, and the next one starts anew', {
  timeout: 30_000,
}, async () => {
  upstream.away = 'UPSTREAM_UNREACHABLE';
  await assert.rejects(read(), { code: 'CONTENT_UNAVAILABLE', message: /upstream is away/ });
  assert.equal(store.find(digest), undefined);
  swarm.part('liar');
  upstream.away = undefined;
  assert.ok(bytes.equals(await read()));
  assert.equal(upstream.sent, bytes.length, 'nothing that a neighbour said was kept');
  assert.deepEqual(swarm.strikes, [], 'nobody was found out');
});

test('who comes to hold the whole while upstream is away brings what is right', { timeout: 30_000 }, async () => {
  upstream.away = 'UPSTREAM_UNREACHABLE';
  swarm.add('honest', digest, { bytes, answersAfter: 2_000 });
  assert.ok(bytes.equals(await read()));
  assert.equal(swarm.given.get('liar')?.length, COUNT);
  assert.deepEqual(swarm.given.get('honest'), [1]);
});

test('where the first repository denies it, the next one says who lied', { timeout: 30_000 }, async () => {
  const { getBlob } = upstream;
  let denials = 0;
  upstream.getBlob = async (repository, ...rest) => {
    if (repository.name !== DENIED.name) return await getBlob(repository, ...rest);
    denials++;
    throw new AgentError('UPSTREAM_DENIED', 'the registry refuses this repository');
  };
  const [one, other] = await Promise.all([read(DENIED), read(PUBLIC)]);
  assert.ok(bytes.equals(one) && bytes.equals(other));
  assert.ok(swarm.isBanned('liar'));
  assert.equal(denials, 1);
});

test('upstream that comes back in time says who lied', { timeout: 30_000 }, async () => {
  upstream.away = 'UPSTREAM_UNREACHABLE';
  const reading = read();
  await given;
  setTimeout(() => {
    upstream.away = undefined;
  }, 3_000);
  assert.ok(bytes.equals(await reading));
  assert.ok(swarm.isBanned('liar'));
});
