import { afterEach, beforeEach } from 'node:test';
import { pino } from 'pino';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;

/** The role and what it stands on, all in memory. */
export interface ContentInMemory {
  readonly swarm: MemorySwarm;
  readonly upstream: MemoryUpstream;
  /** All of a blob, as a client gets it. */
  read(this: void, digest: Digest): Promise<Buffer>;
}

/** One for each test of the file. */
export function contentForEachTest(): ContentInMemory {
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
  return {
    get swarm() {
      return swarm;
    },
    get upstream() {
      return upstream;
    },
    read: async (digest) => {
      const blob = await content.openBlob({ repository, digest }, never);
      const pieces: Uint8Array[] = [];
      for await (const piece of blob.read(0, blob.size, never)) pieces.push(Buffer.from(piece));
      return Buffer.concat(pieces);
    },
  };
}
