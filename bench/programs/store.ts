/**
 * A store of many tiny blobs, in a process of its own.
 * Usage: store.ts PATH make|measure COUNT. Prints one line of JSON: nothing of note, or the figures.
 */
import { createHash, randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { type DiskStore, openStore } from '../../agent/store/index.ts';
import { chunkStart } from '../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../protocol/digest.ts';
import { makeTinyBlobs, tinyDigest } from '../../test/agent/store/many-blobs.ts';
import type { StoreFigures } from '../store.ts';

const LOOK_UPS = 20_000;
const PUTS = 100;
const COMMITS = 20;
const MIB = 1024 * 1024;
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

const [, , path = '', what, count] = process.argv;
if (what === 'make') await makeTinyBlobs(path, Number(count));
console.log(JSON.stringify(what === 'make' ? {} : await measure(path, Number(count))));
