import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { AgentError, isAgentError } from '../../../agent/errors.ts';
import { takeFromPeer } from '../../../agent/fetch/peer-lane.ts';
import type { Holder } from '../../../agent/fetch/ports.ts';
import { chunkMapRoot } from '../../../protocol/chunk-map.ts';
import { chunkLength, chunkStart } from '../../../protocol/chunks.ts';
import { toDigest } from '../../../protocol/digest.ts';
import { bytesOf, generatedContent } from '../../support/content.ts';
import { mapOf } from '../../support/holdings.ts';
import { memoryStore } from '../../support/memory-store.ts';

const CHUNKS = 5;
const never = new AbortController().signal;

async function taking(chunk: Holder['chunk'], heldBack: () => number = () => 0) {
  const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
  const map = mapOf(digest, bytes);
  const partial = await memoryStore().openPartial(digest, bytes.length, never);
  const holder: Holder = {
    peer: 'peer',
    address: '127.0.0.2',
    size: bytes.length,
    root: chunkMapRoot(map),
    map: async () => map,
    chunk,
  };
  const next = (taken: ReadonlySet<number>) =>
    Array.from({ length: CHUNKS }, (_, index) => index).find(
      (index) => partial.sourceOf(index) === undefined && !taken.has(index),
    );
  const take = { partial, holder, map, next, lanes: () => 4, heldBack, signal: never };
  const taken = takeFromPeer(take, () => {});
  return { partial, map, taken };
}

const bytes = bytesOf(generatedContent('lane', CHUNKS * 1024 * 1024 - 7));
const layout = mapOf(toDigest('sha256', Buffer.alloc(32)), bytes).layout;

async function serve(index: number): Promise<Uint8Array> {
  const start = chunkStart(layout, index);
  return bytes.subarray(start, start + chunkLength(layout, index));
}

test('a holder that serves one at a time is taken from by one lane, and every chunk comes', async () => {
  let serving = 0;
  let refused = 0;
  const { partial, taken } = await taking(async (index) => {
    if (serving > 0) {
      refused += 1;
      throw new AgentError('PEER_BUSY', 'one at a time');
    }
    serving += 1;
    await new Promise((resolve) => setImmediate(resolve));
    serving -= 1;
    return serve(index);
  });
  await taken;
  assert.equal(partial.marked, CHUNKS);
  assert.equal(refused, 3);
});

test('a holder that serves nobody is told as busy', async () => {
  const { partial, taken } = await taking(async () => {
    throw new AgentError('PEER_BUSY', 'not now');
  });
  await assert.rejects(taken, (error) => isAgentError(error, 'PEER_BUSY'));
  assert.equal(partial.marked, 0);
});

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A chunk that comes only when its signal fires. */
const stuck: Holder['chunk'] = (_index, _length, signal) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

test('a chunk may take 20 s, and as much more as a limit of our own held it back', async () => {
  let held = 100_000;
  const { taken } = await taking(stuck, () => held);
  let failure: unknown;
  taken.catch((error: unknown) => {
    failure = error;
  });
  await settle();
  held += 15_000;
  mock.timers.tick(20_000);
  await settle();
  assert.equal(failure, undefined);
  mock.timers.tick(14_999);
  await settle();
  assert.equal(failure, undefined);
  mock.timers.tick(1);
  await settle();
  assert.ok(isAgentError(failure, 'PEER_STALLED'));
});

test('with no limit 20 s are all', async () => {
  const { taken } = await taking(stuck);
  const failed = assert.rejects(taken, (error) => isAgentError(error, 'PEER_STALLED'));
  await settle();
  mock.timers.tick(20_000);
  await failed;
});
