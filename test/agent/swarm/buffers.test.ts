import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { KEPT_CHUNK_BUFFERS } from '../../../agent/swarm/limits.ts';
import type { Holdings } from '../../../agent/swarm/ports.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { encodeFrame } from '../../../protocol/frame.ts';
import { chunkAnswers, chunkRequests } from '../../../protocol/messages.ts';
import { CHUNKS_PROTOCOL } from '../../../protocol/names.ts';
import { startHostilePeer } from '../../support/hostile-peer.ts';
import { blob, nextAddress, PATIENCE, soon, startConnected, startPeer, type TestPeer, until } from './fixture.ts';

const CHUNK = 1024 * 1024;
const COUNT = 24;

/** A holder that reads its chunks into what it is given, as the store does; and every memory it was given. */
async function startReader(
  t: TestContext,
): Promise<{ seeder: TestPeer; memories: Set<ArrayBufferLike>; fresh: number[] }> {
  const seeder = await startPeer(t);
  const { chunk } = seeder.holdings;
  const memories = new Set<ArrayBufferLike>();
  const fresh: number[] = [];
  const read: Holdings['chunk'] = async (digest, index, signal, into) => {
    const bytes = await chunk(digest, index, signal);
    if (bytes === undefined) return undefined;
    if (into === undefined || into.length < bytes.length) {
      fresh.push(bytes.length);
      return bytes;
    }
    memories.add(into.buffer);
    into.set(bytes);
    return into.subarray(0, bytes.length);
  };
  seeder.holdings.chunk = read;
  return { seeder, memories, fresh };
}

async function take(from: TestPeer, to: TestPeer, digest: Digest, bytes: Uint8Array, indexes: number[]): Promise<void> {
  for await (const holder of to.swarm.holders(digest, soon())) {
    assert.equal(holder.peer, from.swarm.peerId);
    await Promise.all(
      indexes.map(async (index) => {
        const expected = bytes.subarray(index * CHUNK, (index + 1) * CHUNK);
        const { bytes: chunk } = await holder.chunk(index, expected.length, soon());
        assert.ok(Buffer.from(chunk).equals(expected), `chunk ${index}`);
      }),
    );
    return;
  }
  assert.fail('nobody holds it');
}

const all = Array.from({ length: COUNT }, (_, index) => index);

test('chunks go out of few buffers, each used again and again', { timeout: 2 * PATIENCE }, async (t) => {
  const { seeder, memories, fresh } = await startReader(t);
  const bytes = blob(COUNT * CHUNK - 321);
  const digest = seeder.holdings.hold(bytes);
  const taker = await startConnected(t, [seeder]);
  for (let round = 0; round < 5; round++) await take(seeder, taker, digest, bytes, all);
  assert.deepEqual(fresh, []);
  // Four streams, each with a chunk on its way; a round's first may come before the last of the round before is known to
  // have gone.
  assert.ok(memories.size <= 8, `${memories.size} buffers for ${5 * COUNT} chunks`);
  assert.ok(memories.size < KEPT_CHUNK_BUFFERS);
  for (const { byteLength } of memories) assert.ok(byteLength < CHUNK + 4096);
});

test('a chunk on its way to a peer that sleeps is left alone while others are served', {
  timeout: 2 * PATIENCE,
}, async (t) => {
  const { seeder, memories } = await startReader(t);
  const bytes = blob(COUNT * CHUNK);
  const digest = seeder.holdings.hold(bytes);
  const sleeper = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: seeder.swarm.addresses,
    blobs: [],
    behaviour: 'honest',
  });
  t.after(() => sleeper.stop());
  const streams = await Promise.all(
    [0, 1, 2].map(() => sleeper.open(seeder.swarm.addresses[0] ?? '', CHUNKS_PROTOCOL)),
  );
  const slow = streams.map((stream, index) => {
    const got: Uint8Array[] = [];
    stream.addEventListener('message', ({ data }) => {
      got.push(data.subarray());
    });
    stream.pause();
    stream.send(encodeFrame(chunkRequests.encode({ digest, index })));
    return { stream, index, got };
  });
  // Each has as much of its chunk as yamux lets through, and that is not all of it.
  await until(() => slow.every(({ stream }) => stream.readBufferLength > 0));

  const taker = await startConnected(t, [seeder]);
  await take(seeder, taker, digest, bytes, all.slice(slow.length));
  assert.ok(memories.size > slow.length);

  for (const { stream } of slow) stream.resume();
  const lengthOf = (got: Uint8Array[]): number => got.reduce((sum, { length }) => sum + length, 0);
  const head = encodeFrame(chunkAnswers.encode({ type: 'chunk', length: CHUNK, mark: null }));
  await until(() => slow.every(({ got }) => lengthOf(got) >= head.length + CHUNK));
  for (const { got, index } of slow) {
    const expected = Buffer.concat([head, bytes.subarray(index * CHUNK, (index + 1) * CHUNK)]);
    assert.ok(Buffer.concat(got).equals(expected), `chunk ${index}`);
  }
});

test('a buffer whose chunk did not go out whole is not used again', { timeout: 2 * PATIENCE }, async (t) => {
  const { seeder, memories } = await startReader(t);
  const bytes = blob(COUNT * CHUNK);
  const digest = seeder.holdings.hold(bytes);
  const quitter = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: seeder.swarm.addresses,
    blobs: [],
    behaviour: 'honest',
  });
  t.after(() => quitter.stop());
  const stream = await quitter.open(seeder.swarm.addresses[0] ?? '', CHUNKS_PROTOCOL);
  stream.addEventListener('message', () => {});
  stream.pause();
  stream.send(encodeFrame(chunkRequests.encode({ digest, index: 0 })));
  await until(() => stream.readBufferLength > 0);
  const [lost] = memories;
  assert.equal(memories.size, 1);
  stream.abort(new Error('enough'));
  await until(async () => (await seeder.log).some(({ msg }) => msg.includes('stream ended badly')));

  memories.clear();
  const taker = await startConnected(t, [seeder]);
  await take(seeder, taker, digest, bytes, all);
  assert.ok(lost !== undefined && !memories.has(lost));
});

test('a chunk that is longer than the buffers comes from memory of its own', { timeout: 2 * PATIENCE }, async (t) => {
  const { seeder, fresh } = await startReader(t);
  const long = blob(2 * CHUNK);
  const digest = seeder.holdings.hold(long);
  // As one of a blob of more than 16 GiB.
  const { chunk } = seeder.holdings;
  seeder.holdings.chunk = async (asked, index, signal, into) => {
    assert.ok(into === undefined || into.length < long.length);
    return asked === digest && index === 0 ? long : chunk(asked, index, signal, into);
  };
  const taker = await startConnected(t, [seeder]);
  for await (const holder of taker.swarm.holders(digest, soon())) {
    assert.ok(Buffer.from((await holder.chunk(0, long.length, soon())).bytes).equals(long));
  }
  assert.deepEqual(fresh, []);
});
