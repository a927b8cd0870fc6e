import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createContent, type LanContent } from '../../../agent/fetch/content.ts';
import { PROVEN_AFTER } from '../../../agent/fetch/proven.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { type Digest, toDigest } from '../../../protocol/digest.ts';
import { type MemoryStore, memoryStore } from '../../support/memory-store.ts';
import { type MemorySwarm, memorySwarm, type PeerScript } from '../../support/memory-swarm.ts';
import { memoryTags } from '../../support/memory-tags.ts';
import { type MemoryUpstream, memoryUpstream } from '../../support/memory-upstream.ts';

const repository = { registry: 'docker.io', name: 'library/app' };
const never = new AbortController().signal;

let store: MemoryStore;
let swarm: MemorySwarm;
let upstream: MemoryUpstream;
let content: LanContent;
/** No partial is opened before it resolves. */
let mayOpen: Promise<void>;
let openPartials: () => void;

beforeEach(() => {
  store = memoryStore();
  swarm = memorySwarm();
  swarm.isTrusted = true;
  upstream = memoryUpstream();
  mayOpen = Promise.resolve();
  openPartials = () => {};
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

function holdPartials(): void {
  const held = Promise.withResolvers<void>();
  mayOpen = held.promise;
  openPartials = held.resolve;
}

async function* pieces(digest: Digest, from = 0): AsyncGenerator<Buffer> {
  const opened = await content.openBlob({ repository, digest }, never);
  for await (const piece of opened.read(from, opened.size, never)) yield Buffer.from(piece);
}

async function read(digest: Digest, from?: number): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces(digest, from)) all.push(piece);
  return Buffer.concat(all);
}

const blob = (chunks: number) => randomBytes(chunks * MIB - 1234);

const digestOf = (bytes: Uint8Array) => toDigest('sha256', createHash('sha256').update(bytes).digest());

const soon = () => sleep(100, 'soon' as const);

/** So much came from the peer, and was what it had said, that its next chunks are shown at once. */
async function prove(peer: string): Promise<void> {
  const bytes = blob(PROVEN_AFTER);
  const digest = upstream.add(bytes);
  swarm.add(peer, digest, { bytes });
  await read(digest);
  assert.equal(upstream.sent, 0);
}

/** A holder, and what it was asked for. */
function holder(
  digest: Digest,
  bytes: Uint8Array,
  chunk?: (index: number, signal: AbortSignal) => Promise<void> | void,
) {
  const asked: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const script: PeerScript = {
    bytes,
    chunk(index, signal) {
      asked.push(index);
      resolve();
      return chunk?.(index, signal);
    },
  };
  swarm.add('holder', digest, script);
  swarm.announce('holder', digest, script);
  return { asked, first: promise };
}

const untilEnded = (signal: AbortSignal, onEnd: () => void) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      onEnd();
      reject(signal.reason);
    });
  });

test('the chunk a client waits for is asked for while the partial is being opened, and no second time', async () => {
  await prove('holder');
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const { asked, first } = holder(digest, bytes);
  holdPartials();
  const reading = read(digest, 2 * MIB + 5);
  await first;
  assert.deepEqual(asked, [2], 'the one the client begins with');
  openPartials();
  assert.ok(bytes.subarray(2 * MIB + 5).equals(await reading));
  assert.deepEqual(asked.toSorted(), [0, 1, 2, 3]);
  assert.equal(upstream.sent, 0);
});

test('a client sees it before it is written', async () => {
  await prove('holder');
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  holder(digest, bytes);
  const { promise: mayWrite, resolve: write } = Promise.withResolvers<void>();
  const { openPartial } = store;
  store.openPartial = async (...args) => {
    const partial = await openPartial.apply(store, args);
    const inner = partial.write.bind(partial);
    partial.write = async (position, written) => {
      await mayWrite;
      await inner(position, written);
    };
    return partial;
  };
  let seen = 0;
  for await (const piece of pieces(digest)) {
    assert.ok(piece.equals(bytes.subarray(seen, seen + piece.length)));
    seen += piece.length;
    if (seen === MIB) write();
  }
  assert.equal(seen, bytes.length);
});

test('other chunks are left alone while it comes, for a moment', async () => {
  await prove('holder');
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const { promise: mayCome, resolve: comes } = Promise.withResolvers<void>();
  const { asked, first } = holder(digest, bytes, (index) => (index === 0 ? mayCome : undefined));
  const reading = read(digest);
  await first;
  await new Promise(setImmediate);
  assert.deepEqual(asked, [0]);
  while (asked.length < 4) await sleep(5);
  comes();
  assert.ok(bytes.equals(await reading));
  assert.deepEqual(asked.toSorted(), [0, 1, 2, 3], 'none of them twice');
});

for (const [why, set] of [
  [
    'without a network key, where no client sees a chunk before all have come',
    () =>
      prove('holder').then(() => {
        swarm.isTrusted = false;
      }),
  ],
  ['of a peer that was never right before, whose chunks wait for the whole', () => {}],
] as const) {
  test(`${why}, nothing is asked early`, async () => {
    await set();
    const bytes = blob(3);
    const digest = upstream.add(bytes);
    const { asked, first } = holder(digest, bytes);
    holdPartials();
    const reading = read(digest);
    assert.equal(await Promise.race([first, soon()]), 'soon');
    openPartials();
    assert.ok(bytes.equals(await reading));
    assert.deepEqual(asked.toSorted(), [0, 1, 2]);
  });
}

test('it is verified like any other: wrong bytes reach nobody, and who sent them is found out', async () => {
  await prove('liar');
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  const wrong = Buffer.from(bytes);
  wrong[7] = (wrong[7] as number) ^ 1;
  swarm.add('liar', digest, { bytes: wrong, mapOf: bytes });
  holdPartials();
  const reading = read(digest);
  await soon();
  assert.deepEqual(swarm.given.get('liar')?.slice(PROVEN_AFTER), [0]);
  openPartials();
  assert.ok(bytes.equals(await reading));
  assert.ok(swarm.isBanned('liar'));
});

test('a holder that no longer has it is left, and the blob comes from upstream', async () => {
  await prove('holder');
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  const { asked } = holder(digest, bytes, () => {
    throw new AgentError('PEER_MISSING', 'as the script says');
  });
  holdPartials();
  const reading = read(digest);
  await soon();
  openPartials();
  assert.ok(bytes.equals(await reading));
  assert.ok(asked.includes(0));
  assert.equal(upstream.sent, bytes.length);
});

test('one that gives it to somebody else just now is asked for it again', async () => {
  await prove('holder');
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  let times = 0;
  const { asked } = holder(digest, bytes, (index) => {
    if (index === 0 && times++ === 0) throw new AgentError('PEER_BUSY', 'as the script says');
  });
  assert.ok(bytes.equals(await read(digest)));
  assert.deepEqual(asked.toSorted(), [0, 0, 1, 2]);
  assert.equal(upstream.sent, 0);
});

test('what is there from an earlier run is not waited for, and asking for it ends', async () => {
  await prove('holder');
  const bytes = blob(3);
  const digest = upstream.add(bytes);
  const partial = await store.openPartial(digest, bytes.length, never);
  await partial.write(0, bytes.subarray(0, MIB));
  await partial.mark(0, createHash('sha256').update(bytes.subarray(0, MIB)).digest(), 'upstream');
  await partial.close();
  let ended = false;
  holder(digest, bytes, (index, signal) => {
    if (index === 0)
      return untilEnded(signal, () => {
        ended = true;
      });
  });
  assert.equal(digestOf(await read(digest)), digest);
  assert.ok(ended);
});

test('who was shown what proves to be something else does not go on', async () => {
  await prove('liar');
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const partial = await store.openPartial(digest, bytes.length, never);
  await partial.write(0, bytes.subarray(0, MIB));
  await partial.mark(0, createHash('sha256').update(bytes.subarray(0, MIB)).digest(), 'upstream');
  await partial.close();
  const wrong = Buffer.from(bytes);
  wrong[7] = (wrong[7] as number) ^ 1;
  const lie = { bytes: wrong };
  swarm.add('liar', digest, lie);
  swarm.announce('liar', digest, lie);
  const shown: Buffer[] = [];
  const reading = async () => {
    for await (const piece of pieces(digest)) shown.push(piece);
  };
  await assert.rejects(reading(), { code: 'CONTENT_UNAVAILABLE' });
  const seen = Buffer.concat(shown);
  assert.ok(seen.length > 0 && seen.length <= MIB);
  assert.ok(seen.equals(wrong.subarray(0, seen.length)), 'else nothing was to be taken back');
  assert.ok(bytes.equals(await read(digest)), 'and the next has the truth');
});

/** Gives the first chunk and then no more. */
const onlyFirst = (index: number): void => {
  if (index > 0) throw new AgentError('PEER_MISSING', 'as the script says');
};

/** The store shows to be full only once it is asked for room. */
function fillStore(): void {
  store.openPartial = async () => {
    throw new AgentError('STORE_FULL', 'as the test says');
  };
}

for (const size of [3, 6]) {
  test(`${size} MiB that the store turns out to have no room for go on past it, matched as a whole`, async () => {
    await prove('holder');
    const bytes = blob(size);
    const digest = upstream.add(bytes);
    holder(digest, bytes, onlyFirst);
    fillStore();
    assert.ok(bytes.equals(await read(digest)));
    const wrong = Buffer.from(bytes);
    wrong[2 * MIB] = (wrong[2 * MIB] as number) ^ 1;
    upstream.wrong = wrong;
    let seen = 0;
    const reading = async () => {
      for await (const piece of pieces(digest)) seen += piece.length;
    };
    await assert.rejects(reading(), { code: 'UPSTREAM_MISMATCH' });
    assert.ok(seen > 0 && seen < bytes.length, 'never a complete wrong blob');
  });
}

test('nor do they where the first chunk shown is not what the blob begins with', async () => {
  await prove('liar');
  const bytes = blob(6);
  const digest = upstream.add(bytes);
  const wrong = Buffer.from(bytes);
  wrong[7] = (wrong[7] as number) ^ 1;
  let given = 0;
  const lie = { bytes: wrong, chunk: (index: number) => onlyFirst(index + given++) };
  swarm.add('liar', digest, lie);
  swarm.announce('liar', digest, lie);
  fillStore();
  let seen = 0;
  const reading = async () => {
    for await (const piece of pieces(digest)) seen += piece.length;
  };
  await assert.rejects(reading(), { code: 'CONTENT_UNAVAILABLE' });
  assert.ok(seen > 0 && seen <= MIB);
});

test('who reads slowly is cut off too, though the blob is whole by then', async () => {
  await prove('liar');
  const bytes = blob(4);
  const digest = upstream.add(bytes);
  const partial = await store.openPartial(digest, bytes.length, never);
  for (let index = 0; index < partial.layout.count; index++) {
    const chunk = bytes.subarray(index * MIB, (index + 1) * MIB);
    await partial.write(index * MIB, chunk);
    await partial.mark(index, createHash('sha256').update(chunk).digest(), 'upstream');
  }
  await partial.close();
  const wrong = Buffer.from(bytes);
  wrong[7] = (wrong[7] as number) ^ 1;
  swarm.announce('liar', digest, { bytes: wrong });
  const reading = pieces(digest);
  const { value } = await reading.next();
  assert.ok(value instanceof Buffer && value.equals(wrong.subarray(0, value.length)));
  while (store.find(digest) === undefined) await sleep(5);
  await assert.rejects(reading.next(), { code: 'CONTENT_UNAVAILABLE' });
});

test('a pull that nobody waits for any more ends what was asked early', async () => {
  await prove('holder');
  const bytes = blob(2);
  const digest = upstream.add(bytes);
  let ended = false;
  const { first } = holder(digest, bytes, (_, signal) =>
    untilEnded(signal, () => {
      ended = true;
    }),
  );
  holdPartials();
  const reading = read(digest).catch(() => 'ended');
  await first;
  openPartials();
  await content.stop();
  assert.equal(await reading, 'ended');
  assert.ok(ended);
});
