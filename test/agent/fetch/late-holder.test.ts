import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
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
const bytes = randomBytes(40 * MIB - 1234);

/** How much has come from upstream when the neighbour comes. Bytes. */
const COMES_AFTER = 5 * MIB;

let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;

beforeEach(() => {
  swarm = memorySwarm();
  swarm.hasNeighbours = false;
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

/** Once a part of the blob is here, a neighbour comes that holds it, and upstream takes its time from there on. */
function comesLate(digest: Digest, script: PeerScript): void {
  let isHere = false;
  upstream.pace = async () => {
    if (upstream.sent < COMES_AFTER) return;
    if (!isHere) {
      isHere = true;
      swarm.hasNeighbours = true;
      swarm.announce('late', digest, script);
    }
    await sleep(1);
  };
}

describe('a pull that began with no neighbour', () => {
  it('takes the rest from one that comes and holds the blob, and leaves upstream', async () => {
    const digest = upstream.add(bytes);
    comesLate(digest, { bytes });
    assert.ok(bytes.equals(await read(digest)));
    assert.ok(upstream.sent < COMES_AFTER + 10 * MIB, `${upstream.sent} bytes of upstream's`);
    assert.deepEqual(swarm.strikes, []);
  });

  it('goes back to upstream, for what is missing alone, where that one gives nothing', async () => {
    const digest = upstream.add(bytes);
    const chunk = () => {
      throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
    };
    comesLate(digest, { bytes, chunk });
    assert.ok(bytes.equals(await read(digest)));
    assert.ok(upstream.sent < bytes.length + 2 * MIB, `${upstream.sent} bytes of upstream's`);
  });
});
