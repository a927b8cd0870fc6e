import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Holder } from '../../../agent/swarm/holder.ts';
import { chunkMatches } from '../../../protocol/chunk-map.ts';
import { encodeFrame } from '../../../protocol/frame.ts';
import { chunkAnswers, chunkRequests } from '../../../protocol/messages.ts';
import { CHUNKS_PROTOCOL, CONTROL_PROTOCOL } from '../../../protocol/names.ts';
import { type Behaviour, type HostilePeer, startHostilePeer } from '../../support/hostile-peer.ts';
import { blob, nextAddress, PATIENCE, soon, startPeer, type TestPeer, until } from './fixture.ts';

const CHUNK = 1024 * 1024;
/** Long enough that a busy machine does not look like a stall, short enough for a test. ms */
const STALL = 1_000;

async function meet(t: TestContext, behaviour: Behaviour): Promise<{ agent: TestPeer; hostile: HostilePeer }> {
  const agent = await startPeer(t, { stallTimeout: STALL });
  const hostile = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: agent.swarm.addresses,
    blobs: [blob(3 * CHUNK)],
    behaviour,
  });
  t.after(() => hostile.stop());
  await until(() => agent.swarm.hasNeighbours);
  return { agent, hostile };
}

async function claimOf({ agent, hostile }: { agent: TestPeer; hostile: HostilePeer }): Promise<Holder> {
  const digest = hostile.digests[0];
  assert.ok(digest);
  for await (const holder of agent.swarm.holders(digest, soon())) return holder;
  throw new Error('it did not claim to hold the blob');
}

describe('waits that end', { concurrency: true }, () => {
  for (const [behaviour, code] of [
    ['stall', 'PEER_STALLED'],
    ['silent', 'PEER_STALLED'],
    ['dribble', 'PEER_STALLED'],
    ['cut', 'PEER_UNREACHABLE'],
    ['missing', 'PEER_MISSING'],
    ['busy', 'PEER_BUSY'],
    ['garbage', 'PEER_PROTOCOL'],
    ['wrong-length', 'PEER_PROTOCOL'],
  ] as const) {
    test(`a peer that shows “${behaviour}” is ${code}, and soon`, { timeout: PATIENCE }, async (t) => {
      const holder = await claimOf(await meet(t, behaviour));
      await assert.rejects(holder.chunk(1, CHUNK, soon()), { code });
      // Twice: a stream that went bad is not used again, and the next request ends as well.
      await assert.rejects(holder.chunk(2, CHUNK, soon()), { code });
    });
  }

  test('a peer that asks and does not read is let go, and little is queued for it meanwhile', async (t) => {
    const { agent, hostile } = await meet(t, 'honest');
    const digest = agent.holdings.hold(blob(64 * CHUNK));
    const stream = await hostile.open(agent.swarm.addresses[0] ?? '', CHUNKS_PROTOCOL);
    const reset = new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }));
    stream.addEventListener('message', () => {});
    stream.pause();
    for (let index = 0; index < 64; index++) stream.send(encodeFrame(chunkRequests.encode({ digest, index })));
    await reset;
    // What yamux let through, and one piece.
    const served = (await agent.metrics.servedBytes.get()).values[0]?.value ?? 0;
    assert.ok(served <= 4 * CHUNK, `${served} bytes were sent to a peer that read none`);
  });

  test('half a request is waited for only so long', async (t) => {
    const { agent, hostile } = await meet(t, 'honest');
    const stream = await hostile.open(agent.swarm.addresses[0] ?? '', CHUNKS_PROTOCOL);
    const reset = new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }));
    stream.send(encodeFrame(chunkAnswers.encode({ type: 'busy' })).subarray(0, 3));
    await reset;
  });
});

test('a flipped chunk does not match the map', async (t) => {
  const holder = await claimOf(await meet(t, 'flip'));
  const map = await holder.map(soon());
  assert.equal(chunkMatches(map, 0, await holder.chunk(0, CHUNK, soon())), false);
});

test('a false map is taken for what it is: a claim whose chunks match', async (t) => {
  const holder = await claimOf(await meet(t, 'false-map'));
  const map = await holder.map(soon());
  assert.equal(chunkMatches(map, 0, await holder.chunk(0, CHUNK, soon())), true);
});

test('a map that has not the root it was claimed to have is PEER_PROTOCOL', async (t) => {
  const holder = await claimOf(await meet(t, 'wrong-map'));
  await assert.rejects(holder.map(soon()), { code: 'PEER_PROTOCOL' });
});

test('garbage on the control stream is a strike, and the look-up ends', async (t) => {
  const { agent, hostile } = await meet(t, 'garbage-control');
  const digest = hostile.digests[0];
  assert.ok(digest);
  for await (const holder of agent.swarm.holders(digest, soon())) assert.fail(`yielded ${holder.peer}`);
  assert.equal(agent.swarm.peers()[0]?.strikes, 1);
  assert.equal((await agent.metrics.strikes.get()).values.find(({ labels }) => labels.offence === 'garbage')?.value, 1);
});

test('garbage requests end in a reset and strikes, at last in a ban; the agent lives on', async (t) => {
  const { agent, hostile } = await meet(t, 'honest');
  const [address] = agent.swarm.addresses;
  assert.ok(address);
  for (let round = 0; !agent.swarm.isBanned(hostile.peerId); round++) {
    assert.ok(round < 10, 'never banned');
    const stream = await hostile.open(address, round % 2 === 0 ? CHUNKS_PROTOCOL : CONTROL_PROTOCOL);
    const closed = new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }));
    stream.send(round % 3 === 0 ? Buffer.alloc(100, 0xff) : encodeFrame(Buffer.from('not cbor')));
    await closed;
    await until(() => agent.swarm.isBanned(hostile.peerId) || (agent.swarm.peers()[0]?.strikes ?? 0) > round);
  }
  assert.equal(agent.swarm.peers().find(({ id }) => id === hostile.peerId)?.state, 'banned');
  await until(() => !agent.swarm.hasNeighbours);
  await assert.rejects(hostile.open(address, CHUNKS_PROTOCOL));
});

test('a liar is shut out by id and by address', async (t) => {
  const { agent, hostile } = await meet(t, 'flip');
  const holder = await claimOf({ agent, hostile });
  agent.swarm.strike(hostile.peerId, 'lied');
  assert.equal(agent.swarm.isBanned(hostile.peerId), true);
  await until(() => !agent.swarm.hasNeighbours);
  await assert.rejects(holder.chunk(0, CHUNK, soon()), { code: 'PEER_UNREACHABLE' });
  // Another id at the same address gets no further.
  const again = await startHostilePeer({
    listen: [`/ip4/${holder.address}/tcp/0`],
    blobs: [],
    behaviour: 'honest',
  });
  t.after(() => again.stop());
  await assert.rejects(again.open(agent.swarm.addresses[0] ?? '', CHUNKS_PROTOCOL));
  assert.equal(agent.swarm.hasNeighbours, false);
});
