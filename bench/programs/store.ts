/**
 * A store of many tiny blobs, in a process of its own.
 * Usage: store.ts PATH make|measure|bound COUNT. Prints one line of JSON: nothing of note, or the figures.
 */
import { createHash, randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { type DiskStore, openStore } from '../../agent/store/index.ts';
import { chunkStart } from '../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../protocol/digest.ts';
import { makeTinyBlobs, tinyDigest } from '../../test/agent/store/many-blobs.ts';
import type { BoundFigures, StoreFigures } from '../store.ts';

const LOOK_UPS = 20_000;
const PUTS = 100;
const COMMITS = 20;
const MIB = 1024 * 1024;
/** What fits at most before the bound is reached; the index and its log take some of it. */
const ROOM = 16 * MIB;
/** What the swarm asks for at start: agent/swarm/limits.ts, ROSTER_LENGTH. */
const RECENT = 20_001;

const never = new AbortController().signal;
const digestOf = (bytes: Uint8Array) => toDigest('sha256', createHash('sha256').update(bytes).digest());

/** Milliseconds. */
async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const perSecond = (times: number, ms: number) => (times / ms) * 1000;

async function commit(store: DiskStore, bytes: Buffer, digest: Digest): Promise<void> {
  const partial = await store.openPartial(digest, bytes.length, never);
  for (let index = 0; index < partial.layout.count; index++) {
    const start = chunkStart(partial.layout, index);
    const chunk = bytes.subarray(start, start + partial.layout.chunkSize);
    await partial.write(start, chunk);
    await partial.mark(index, createHash('sha256').update(chunk).digest(), 'peer');
  }
  await partial.commit(null);
}

async function measure(path: string, count: number): Promise<StoreFigures> {
  const small = Array.from({ length: PUTS }, () => randomBytes(1000));
  const large = Array.from({ length: COMMITS }, () => randomBytes(MIB + 17));
  const digests = new Map([...small, ...large].map((bytes) => [bytes, digestOf(bytes)]));
  const start = performance.now();
  const store = await openStore({ logger: pino({ level: 'silent' }) }, { path });
  const readyMs = performance.now() - start;
  const recentMs = await timed(() => store.recent(RECENT));
  const rss = process.memoryUsage.rss();
  const inOrderMs = await timed(() => store.inOrder);
  const names = Array.from({ length: LOOK_UPS }, (_, at) => tinyDigest(Math.floor((at / LOOK_UPS) * count)));
  const lookUpMs = await timed(() => names.forEach((digest) => void store.held(digest)));
  const putMs = await timed(async () => {
    for (const bytes of small) await store.put(digests.get(bytes)!, bytes, null);
  });
  const commitMs = await timed(async () => {
    for (const bytes of large) await commit(store, bytes, digests.get(bytes)!);
  });
  for (const digest of digests.values()) await store.remove(digest);
  await store.close();
  return {
    readyMs,
    recentMs,
    rss,
    inOrderMs,
    lookUps: perSecond(LOOK_UPS, lookUpMs),
    puts: perSecond(PUTS, putMs),
    commits: perSecond(COMMITS, commitMs),
  };
}

/** The same commits where each has to make its room first. Lets go of blobs. */
async function measureBound(path: string): Promise<BoundFigures> {
  const logger = pino({ level: 'silent' });
  const before = await openStore({ logger }, { path });
  await before.inOrder;
  const { blobs: held, partials, leaving, rest } = before.usage();
  const used = held + partials + leaving + rest;
  await before.close();
  const store = await openStore({ logger }, { path, maxSize: used + ROOM });
  await store.inOrder;
  const large = Array.from({ length: COMMITS + ROOM / MIB }, () => randomBytes(MIB - 17));
  const digests = new Map(large.map((bytes) => [bytes, digestOf(bytes)]));
  const times: number[] = [];
  for (const bytes of large) times.push(await timed(() => commit(store, bytes, digests.get(bytes)!)));
  const { blobs } = store.totals();
  await store.close();
  // The first still find room.
  const slowest = times.slice(ROOM / MIB).sort((a, b) => a - b);
  const total = slowest.reduce((sum, each) => sum + each, 0);
  return { commits: perSecond(COMMITS, total), slowestMs: slowest.at(-1) ?? 0, blobs };
}

const [, , path = '', what, count] = process.argv;
if (what === 'make') await makeTinyBlobs(path, Number(count));
if (what === 'bound') console.log(JSON.stringify(await measureBound(path)));
else console.log(JSON.stringify(what === 'make' ? {} : await measure(path, Number(count))));
