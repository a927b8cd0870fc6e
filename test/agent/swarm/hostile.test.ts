import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { Holder } from '../../../agent/swarm/holder.ts';
import { chunkMatches } from '../../../protocol/chunk-map.ts';
import type { Digest } from '../../../protocol/digest.ts';
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
  let claim: Holder | undefined;
  // A busy machine may let an answer come too late.
  await until(async () => {
    for await (const holder of agent.swarm.holders(digest, soon())) claim ??= holder;
    return claim !== undefined;
  });
  return claim as unknown as Holder;
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
  assert.equal(chunkMatches(map, 0, (await holder.chunk(0, CHUNK, soon())).bytes), false);
});

test('a false map is taken for what it is: a claim whose chunks match', async (t) => {
  const holder = await claimOf(await meet(t, 'false-map'));
  const map = await holder.map(soon());
  assert.equal(chunkMatches(map, 0, (await holder.chunk(0, CHUNK, soon())).bytes), true);
});

/** Offences noted against everybody, by what they were. */
async function strikesOf({ metrics }: TestPeer): Promise<Record<string, number>> {
  const { values } = await metrics.strikes.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels.offence), value]));
}

for (const behaviour of ['wrong-map', 'wrong-answer'] as const) {
  test(`another map than was claimed (${behaviour}) is PEER_PROTOCOL, and one strike each time`, async (t) => {
    const met = await meet(t, behaviour);
    const holder = await claimOf(met);
    for (const garbage of [1, 2]) {
      await assert.rejects(holder.map(soon()), { code: 'PEER_PROTOCOL' });
      assert.deepEqual(await strikesOf(met.agent), { garbage });
    }
  });
}

for (const behaviour of ['garbage', 'wrong-length'] as const) {
  test(`a chunk stream that breaks the protocol (${behaviour}) is one strike`, async (t) => {
    const met = await meet(t, behaviour);
    const holder = await claimOf(met);
    for (const garbage of [1, 2]) {
      await assert.rejects(holder.chunk(0, CHUNK, soon()), { code: 'PEER_PROTOCOL' });
      assert.deepEqual(await strikesOf(met.agent), { garbage });
    }
  });
}

test('a chunk stream with two requests outstanding is still one strike', async (t) => {
  const met = await meet(t, 'garbage');
  const holder = await claimOf(met);
  const requests = Array.from({ length: 8 }, () => holder.chunk(0, CHUNK, soon()));
  const outcomes = await Promise.allSettled(requests);
  assert.ok(outcomes.every(({ status }) => status === 'rejected'));
  // Eight requests go over four streams.
  const { garbage = 0 } = await strikesOf(met.agent);
  assert.ok(garbage >= 1 && garbage <= 4, `${garbage} strikes`);
});

test('a map whose giver is gone in the middle, and a chunk that is not wanted any more, are no strike', async (t) => {
  const met = await meet(t, 'stall');
  const holder = await claimOf(met);
  const leave = new AbortController();
  const chunk = holder.chunk(0, CHUNK, leave.signal);
  await until(() => met.hostile.chunksAsked > 0);
  leave.abort(new Error('left'));
  await assert.rejects(chunk, /left/);
  await met.hostile.stop();
  await assert.rejects(holder.map(soon()), { code: 'PEER_UNREACHABLE' });
  assert.deepEqual(await strikesOf(met.agent), {});
});

test('half a frame is garbage from a peer that ends its stream, not from one whose connection is lost', async (t) => {
  const { agent, hostile } = await meet(t, 'honest');
  const [address = ''] = agent.swarm.addresses;
  const request = encodeFrame(chunkRequests.encode({ digest: hostile.digests[0] as Digest, index: 0 }));
  const half = request.subarray(0, 20);
  const cut = await hostile.open(address, CHUNKS_PROTOCOL);
  cut.send(half);
  await cut.close();
  await until(async () => (await strikesOf(agent)).garbage === 1);

  // The kernel of a host that kills its agent closes connections in good order: FIN, in the middle of whatever it is.
  const line = await startLine(t, address);
  const other = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: [line.address],
    blobs: [],
    behaviour: 'honest',
  });
  t.after(() => other.stop());
  await until(() => agent.swarm.peers().length === 2);
  const lost = await other.open(line.address, CHUNKS_PROTOCOL);
  const answered = new Promise((resolve) => lost.addEventListener('message', resolve, { once: true }));
  // Behind a whole one, whose answer tells that both have come.
  lost.send(Buffer.concat([request, half]));
  await answered;
  line.end();
  await until(() => agent.log.some(({ peer, msg }) => peer === other.peerId && /ended badly/.test(msg)));
  assert.deepEqual(await strikesOf(agent), { garbage: 1 });
});

/** A way to the agent at `address` that can be cut like a cable whose ends say goodbye. */
async function startLine(t: TestContext, address: string) {
  const target = /^\/ip4\/(?<host>[^/]+)\/tcp\/(?<port>\d+)/.exec(address)?.groups;
  const sockets: Socket[] = [];
  const server = createServer((inbound) => {
    const outbound = connect({ host: target?.host, port: Number(target?.port) });
    sockets.push(inbound, outbound);
    for (const socket of [inbound, outbound]) socket.on('error', () => socket.destroy());
    inbound.pipe(outbound).pipe(inbound);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`,
    end: () => sockets.forEach((socket) => void socket.end()),
  };
}

test('garbage on the control stream is a strike, and the look-up ends', async (t) => {
  const { agent, hostile } = await meet(t, 'garbage-control');
  const digest = hostile.digests[0];
  assert.ok(digest);
  for await (const holder of agent.swarm.holders(digest, soon())) assert.fail(`yielded ${holder.peer}`);
  assert.ok(((await strikesOf(agent)).garbage ?? 0) >= 1);
  // It says so to announcements too; those are tried once more, and then no more for long: no ban by our own doing.
  await until(async () => ((await strikesOf(agent)).garbage ?? 0) >= 2);
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
