import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Stream } from '@libp2p/interface';
import { pino } from 'pino';
import { startAnnouncer } from '../../../../agent/swarm/inventory/announcer.ts';
import { createRoster } from '../../../../agent/swarm/inventory/roster.ts';
import { BLOBS_PER_ANNOUNCEMENT, INVENTORY_LENGTH } from '../../../../agent/swarm/limits.ts';
import { type Digest, toDigest } from '../../../../protocol/digest.ts';
import { encodeFrame } from '../../../../protocol/frame.ts';
import { type Announcement, controlRequests, MAX_ANNOUNCED } from '../../../../protocol/messages.ts';
import { CONTROL_PROTOCOL } from '../../../../protocol/names.ts';
import { createMemoryHoldings } from '../../../support/holdings.ts';
import { type Behaviour, type HostilePeer, startHostilePeer } from '../../../support/hostile-peer.ts';
import { type IndependentPeer, startIndependentPeer } from '../../../support/independent-peer.ts';
import { blob, nextAddress, soon, startConnected, startPeer, type TestPeer, until } from '../fixture.ts';

const blobsOf = (peer: TestPeer, id: string): number | null | undefined =>
  peer.swarm.peers().find((each) => each.id === id)?.blobs;

async function holdersOf(peer: TestPeer, digest: Digest): Promise<string[]> {
  const found: string[] = [];
  for await (const holder of peer.swarm.holders(digest, soon())) found.push(holder.peer);
  return found;
}

const unknown = (): Digest => toDigest('sha256', blob(32));

const numbered = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};

async function independent(t: TestContext, agent: TestPeer): Promise<{ peer: IndependentPeer; address: string }> {
  const peer = await startIndependentPeer({ listen: `/ip4/${nextAddress()}/tcp/0` });
  t.after(() => peer.stop());
  return { peer, address: agent.swarm.addresses[0] ?? '' };
}

/** A peer that dialled `agent`, and a control stream of its own to say anything on. */
async function stranger(t: TestContext, agent: TestPeer, behaviour: Behaviour = 'honest') {
  const hostile: HostilePeer = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: agent.swarm.addresses,
    blobs: [blob(100)],
    behaviour,
  });
  t.after(() => hostile.stop());
  await until(() => agent.swarm.hasNeighbours);
  const stream = await hostile.open(agent.swarm.addresses[0] ?? '', CONTROL_PROTOCOL);
  const say = (message: Announcement) => stream.send(encodeFrame(controlRequests.encode(message)));
  return { hostile, stream, say, held: hostile.digests[0] as Digest };
}

const garbage = async ({ metrics }: TestPeer): Promise<number> =>
  (await metrics.strikes.get()).values.find(({ labels }) => labels.offence === 'garbage')?.value ?? 0;

test('thousands of blobs at connect, then what changes, both ways; a look-up is the neighbours’ word', async (t) => {
  const seeder = await startPeer(t);
  for (let n = 0; n < 3_000; n++) seeder.holdings.hold(numbered(n));
  const leecher = await startConnected(t, [seeder]);
  const { peerId } = seeder.swarm;
  await until(() => blobsOf(leecher, peerId) === 3_000);

  const digest = seeder.holdings.hold(blob(100));
  await until(() => blobsOf(leecher, peerId) === 3_001);
  assert.deepEqual(await holdersOf(leecher, digest), [peerId]);
  seeder.holdings.drop(digest);
  await until(() => blobsOf(leecher, peerId) === 3_000);
  assert.deepEqual(await holdersOf(leecher, digest), []);

  leecher.holdings.hold(blob(10));
  await until(() => blobsOf(seeder, leecher.swarm.peerId) === 1);
});

test('what a neighbour told goes with its connection, and is told anew at the next', async (t) => {
  const first = await startPeer(t);
  const digest = first.holdings.hold(blob(100));
  const leecher = await startConnected(t, [first], { redialMax: 200 });
  await until(() => blobsOf(leecher, first.swarm.peerId) === 1);
  const listen = [(first.swarm.addresses[0] ?? '').replace(/\/p2p\/.*$/, '')];
  await first.swarm.stop();
  await until(() => !leecher.swarm.hasNeighbours);
  assert.equal(blobsOf(leecher, first.swarm.peerId), null);

  const again = await startPeer(t, { listen, identityPath: first.identityPath });
  for (let n = 0; n < 2; n++) again.holdings.hold(numbered(n));
  await until(() => blobsOf(leecher, again.swarm.peerId) === 2);
  assert.deepEqual(await holdersOf(leecher, digest), []);
});

test('a peer written from the document is told everything and asked nothing: a hit and a miss cost no message', async (t) => {
  const agent = await startPeer(t);
  const first = agent.holdings.hold(blob(100));
  const { peer, address } = await independent(t, agent);
  const held = peer.hold(blob(200)) as Digest;
  await peer.announce(address);
  await until(() => peer.complete === 1 && peer.told.has(first));
  const second = agent.holdings.hold(blob(300));
  await until(() => peer.told.get(second) === 300);
  agent.holdings.drop(first);
  await until(() => !peer.told.has(first));

  // Once what it has told is known to be all, which comes just behind it.
  await until(async () => {
    const before = peer.questions;
    await holdersOf(agent, unknown());
    return peer.questions === before;
  });
  const { questions } = peer;
  for (let n = 0; n < 20; n++) assert.deepEqual(await holdersOf(agent, unknown()), []);
  assert.deepEqual(await holdersOf(agent, held), [peer.id]);
  peer.drop(held);
  await until(async () => (await holdersOf(agent, held)).length === 0);
  const late = peer.hold(blob(400)) as Digest;
  await until(async () => (await holdersOf(agent, late)).includes(peer.id));
  assert.equal(peer.questions, questions);
  assert.equal(blobsOf(agent, peer.id), 1);
  assert.equal(await garbage(agent), 0);
});

test('a miss ends before a byte could have gone out, with the DHT too, once that has named nobody else', async (t) => {
  const one = await startPeer(t, { dht: true });
  const two = await startConnected(t, [one], { dht: true });
  const missesAtOnce = async (): Promise<boolean> => {
    let hasEnded = false;
    const looking = holdersOf(two, unknown()).then(() => {
      hasEnded = true;
    });
    await new Promise(setImmediate);
    const atOnce = hasEnded;
    await looking;
    return atOnce;
  };
  await until(missesAtOnce);
  // Somebody new may know others.
  const three = await startConnected(t, [two], { dht: true });
  await until(() => three.swarm.peers().length > 0);
  assert.equal(await missesAtOnce(), false);
  await until(missesAtOnce);
});

test('a peer that announces nothing is asked, for hits and misses alike', async (t) => {
  const agent = await startPeer(t);
  const { peer, address } = await independent(t, agent);
  const held = peer.hold(blob(200)) as Digest;
  assert.equal((await peer.have(address, unknown())).type, 'missing');
  assert.deepEqual(await holdersOf(agent, held), [peer.id]);
  assert.deepEqual(await holdersOf(agent, unknown()), []);
  assert.equal(peer.questions, 2);
  assert.equal(blobsOf(agent, peer.id), 0);
});

test('who has more than it tells is asked for the rest', async (t) => {
  const agent = await startPeer(t);
  const { hostile, say, held } = await stranger(t, agent);
  const root = new Uint8Array(32);
  say({ type: 'hold', blobs: [[unknown(), 1, root]] });
  say({ type: 'complete', truncated: true });
  await until(() => blobsOf(agent, hostile.peerId) === 1);
  assert.deepEqual(await holdersOf(agent, held), [hostile.peerId]);
  say({ type: 'complete', truncated: false });
  await until(async () => (await holdersOf(agent, held)).length === 0);
});

test('with the stream ends what was told on it; the peer is asked again', async (t) => {
  const agent = await startPeer(t);
  const { hostile, stream, say, held } = await stranger(t, agent);
  say({ type: 'complete', truncated: false });
  await until(async () => (await holdersOf(agent, held)).length === 0);
  await stream.close();
  await until(async () => (await holdersOf(agent, held)).includes(hostile.peerId));
});

test('who tells of more blobs than it may is struck, its stream ended and its word forgotten', async (t) => {
  const agent = await startPeer(t);
  const { hostile, stream, say } = await stranger(t, agent);
  const closed = new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }));
  for (let told = 0; told <= INVENTORY_LENGTH && stream.status === 'open'; told += MAX_ANNOUNCED) {
    const blobs = Array.from({ length: MAX_ANNOUNCED }, () => [unknown(), 1, blob(32)] as [Digest, number, Uint8Array]);
    say({ type: 'hold', blobs });
  }
  await closed;
  await until(async () => (await garbage(agent)) === 1);
  assert.equal(blobsOf(agent, hostile.peerId), 0);
  // It may still ask, and be asked.
  assert.deepEqual(await holdersOf(agent, hostile.digests[0] as Digest), [hostile.peerId]);
});

test('a neighbour that never reads is told nothing more after a stall; others are told, and a look-up ends', async (t) => {
  const agent = await startPeer(t, { stallTimeout: 1_000 });
  // More than yamux takes for one stream.
  for (let n = 0; n < 5_000; n++) agent.holdings.hold(numbered(n));
  const { peer, address } = await independent(t, agent);
  await stranger(t, agent, 'deaf');
  await peer.announce(address);
  await until(() => peer.told.size === 5_000);
  const isGivenUp = (line: Record<string, unknown>) =>
    /takes no announcements/.test(String(line.msg)) && JSON.stringify(line).includes('PEER_STALLED');
  await until(() => agent.log.some(isGivenUp));
  assert.deepEqual(await holdersOf(agent, unknown()), []);
});

test('for a neighbour that does not read one message is queued, however much changes', async (t) => {
  const holdings = createMemoryHoldings();
  const roster = createRoster(holdings);
  for (let n = 0; n < 2_000; n++) holdings.hold(numbered(n));
  /** A stream that takes what it is given and passes nothing on. */
  class Blocked extends EventTarget {
    readonly status = 'open';
    readonly writableNeedsDrain = true;
    writeBufferLength = 0;
    sends = 0;
    send(bytes: Uint8Array): boolean {
      this.sends += 1;
      this.writeBufferLength += bytes.length;
      return false;
    }
    abort(): void {}
  }
  const stream = new Blocked();
  const announcer = startAnnouncer(
    {
      peer: 'peer',
      control: { open: async () => stream as unknown as Stream },
      roster,
      logger: pino({ level: 'silent' }),
    },
    { stallTimeout: 60_000 },
  );
  t.after(() => announcer.stop());
  await until(() => stream.sends > 0);
  for (let n = 2_000; n < 4_000; n++) holdings.hold(numbered(n));
  await new Promise(setImmediate);
  assert.equal(stream.sends, 1);
  assert.ok(stream.writeBufferLength <= BLOBS_PER_ANNOUNCEMENT * 128);
});
