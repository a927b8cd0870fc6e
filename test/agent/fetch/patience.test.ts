import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm, type PeerScript } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;
const bytes = randomBytes(3 * MIB - 1234);

/** The longest a pull may be held back by holders that bring nothing, with room for a busy host. ms */
const BOUND = 5_500;

let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;

beforeEach(() => {
  swarm = memorySwarm();
  upstream = memoryUpstream();
  const [store, logger] = [memoryStore(), pino({ level: 'silent' })];
  content = createContent(
    { store, upstream, swarm, tags: memoryTags(), metrics: createMetrics(), logger },
    { lookupTimeout: 100, leaseTimeout: 250, holdFor: 60_000, tags: () => ({ fresh: [], immutable: [] }) },
  );
});

afterEach(() => content.stop());

async function read(digest: Digest): Promise<Buffer> {
  const blob = await content.openBlob({ repository, digest }, never);
  const pieces: Uint8Array[] = [];
  for await (const piece of blob.read(0, blob.size, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Claims the blob, with a chunk map of its own that it never gives. */
function falseHolder(wait: number): PeerScript {
  const map = async () => {
    await sleep(wait);
    throw new AgentError('PEER_BUSY', 'the peer serves as many as it can');
  };
  return { bytes: randomBytes(bytes.length), map };
}

async function took(digest: Digest): Promise<number> {
  const begun = performance.now();
  assert.ok(bytes.equals(await read(digest)));
  return performance.now() - begun;
}

for (const [how, holdBack] of [
  ['found by the look-up', (peer: string, digest: Digest) => swarm.add(peer, digest, falseHolder(1_500))],
  ['told of before', (peer: string, digest: Digest) => swarm.announce(peer, digest, falseHolder(1_500))],
] as const) {
  test(`holders that never give their maps, ${how}: together they hold upstream back no longer than one may`, async () => {
    const digest = upstream.add(bytes);
    for (let n = 0; n < 8; n++) holdBack(`false ${n}`, digest);
    const time = await took(digest);
    assert.ok(time < BOUND, `${time} ms`);
    assert.equal(upstream.sent, bytes.length);
  });
}

test('a new false holder at each lease does not have it given back for ever', async () => {
  const digest = upstream.add(bytes);
  const { tellers } = swarm;
  let told = 0;
  swarm.tellers = (wanted) => {
    // The first look is the look-up's.
    if (told++ > 0) swarm.announce(`false ${told}`, digest, falseHolder(0));
    return tellers(wanted);
  };
  const time = await took(digest);
  assert.ok(time < BOUND, `${time} ms`);
  assert.ok(told < 8, `${told} leases`);
});

test('who holds the blob and is heard of after such holders is waited for, and taken from', async () => {
  const digest = upstream.add(bytes);
  for (let n = 0; n < 4; n++) swarm.announce(`false ${n}`, digest, falseHolder(500));
  swarm.add('honest', digest, { bytes, answersAfter: 1_000 });
  assert.ok(bytes.equals(await read(digest)));
  assert.equal(upstream.sent, 0);
});
