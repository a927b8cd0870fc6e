import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import type { Attendant } from '../../../../agent/fetch/ports.ts';
import { FLEET_BURST, FLEET_RATE } from '../../../../agent/swarm/limits.ts';
import { bitmapOf, setBit } from '../../../../protocol/bitmap.ts';
import { type Digest, toDigest } from '../../../../protocol/digest.ts';
import { encodeFrame } from '../../../../protocol/frame.ts';
import { type Mark, markStatement } from '../../../../protocol/mark.ts';
import { controlRequests, type FleetMessage } from '../../../../protocol/messages.ts';
import { CONTROL_PROTOCOL } from '../../../../protocol/names.ts';
import { startHostilePeer } from '../../../support/hostile-peer.ts';
import { blob, nextAddress, soon, startConnected, startPeer, type TestPeer, until } from '../fixture.ts';

const CHUNK = 1024 * 1024;
const digest = toDigest('sha256', Buffer.alloc(32, 9));
const claim = (index: number): FleetMessage => ({ type: 'claim', digest, size: index, first: 0 });

/** What an agent that takes part in the exchange is told, and what it gives. */
interface Witness extends Attendant {
  readonly log: string[];
  readonly messages: FleetMessage[];
  readonly chunks: Map<string, Uint8Array>;
  readonly marks: Map<string, Mark>;
}

const keyOf = (digest: Digest, index: number): string => `${digest} ${index}`;

function attend({ swarm }: TestPeer): Witness {
  const log: string[] = [];
  const messages: FleetMessage[] = [];
  const chunks = new Map<string, Uint8Array>();
  const marks = new Map<string, Mark>();
  const witness: Witness = {
    log,
    messages,
    chunks,
    marks,
    came: ({ peer, address }) => void log.push(`${peer} came from ${address}`),
    left: (peer) => void log.push(`${peer} left`),
    heard(peer, message) {
      log.push(`${peer} said ${message.type}`);
      messages.push(message);
    },
    chunk: async (digest, index) => chunks.get(keyOf(digest, index)),
    mark: (digest, index) => marks.get(keyOf(digest, index)),
  };
  swarm.attend(witness);
  return witness;
}

const addressOf = ({ swarm }: TestPeer): string => swarm.addresses[0]?.split('/')[2] ?? '';

test('neighbours hear each other, in order, and are told who came and who left', async (t) => {
  const one = await startPeer(t);
  const early = attend(one);
  const other = await startConnected(t, [one]);
  const late = attend(other);
  assert.deepEqual(early.log, [`${other.swarm.peerId} came from ${addressOf(other)}`]);
  assert.deepEqual(late.log, [`${one.swarm.peerId} came from ${addressOf(one)}`]);
  assert.deepEqual(other.swarm.neighbours(), [{ peer: one.swarm.peerId, address: addressOf(one) }]);

  const marks = bitmapOf(20);
  setBit(marks, 17);
  const taking: FleetMessage = {
    type: 'taking',
    digest,
    size: 20 * CHUNK,
    marks,
    mapped: [Buffer.alloc(32, 1), bitmapOf(20)],
    leases: [[0, 16]],
    received: 5,
  };
  const said: FleetMessage[] = [
    claim(1),
    taking,
    { type: 'grant', digest, segment: [0, 16], partners: [one.swarm.peerId] },
    { type: 'refuse', digest, fetching: [one.swarm.peerId], partners: [] },
    {
      type: 'accuse',
      digest,
      size: 20 * 1024 * 1024,
      index: 3,
      sha256: Buffer.alloc(32, 2),
      mark: [other.swarm.peerId, Buffer.alloc(64, 3)],
    },
    { type: 'vouch', digest, size: 20 * 1024 * 1024, index: 4, sha256: Buffer.alloc(32, 4) },
  ];
  // A peer that is not there costs nobody anything.
  for (const message of said) other.swarm.tell(['nobody', one.swarm.peerId], message);
  await until(() => early.messages.length === said.length);
  // Not in one turn with a state of the same blob, which it would make void before that was sent.
  said.push({ type: 'left', digest });
  other.swarm.tell(['nobody', one.swarm.peerId], { type: 'left', digest });
  await until(() => early.messages.length === said.length);
  for (const [at, message] of early.messages.entries()) {
    assert.deepEqual(controlRequests.encode(message), controlRequests.encode(said[at] as FleetMessage));
  }
  one.swarm.tell([other.swarm.peerId], claim(2));
  await until(() => late.messages.length === 1);
  const { values } = await other.metrics.fleetMessages.get();
  assert.deepEqual(Object.fromEntries(values.map(({ labels, value }) => [labels.direction, value])), {
    sent: said.length,
    received: 1,
  });

  await other.swarm.stop();
  await until(() => early.log.at(-1) === `${other.swarm.peerId} left`);
  assert.deepEqual(one.swarm.neighbours(), []);
  one.swarm.tell([other.swarm.peerId], claim(3));
});

test('many messages at once arrive in order, with questions and announcements among them', async (t) => {
  const one = await startPeer(t);
  const witness = attend(one);
  const other = await startConnected(t, [one]);
  const held: Digest[] = [];
  for (let n = 0; n < 300; n++) {
    other.swarm.tell([one.swarm.peerId], claim(n));
    if (n % 50 === 0) held.push(other.holdings.hold(blob(10)));
    // No more than may wait for a neighbour that is slow for a moment.
    if (n % 30 === 0) await until(() => witness.messages.length === n + 1);
  }
  await until(() => witness.messages.length === 300);
  assert.deepEqual(
    witness.messages.map((message) => message.type === 'claim' && message.size),
    Array.from({ length: 300 }, (_, n) => n),
  );
  await until(() => one.swarm.peers()[0]?.blobs === held.length);
});

test('a chunk of a blob on its way comes with its mark, which a third agent can verify', async (t) => {
  const giver = await startPeer(t);
  const witness = attend(giver);
  const taker = await startConnected(t, [giver]);
  const bytes = blob(CHUNK);
  const statement = markStatement(digest, 3 * CHUNK, 1, hash('sha256', bytes, 'buffer'));
  witness.chunks.set(keyOf(digest, 1), bytes);
  witness.marks.set(keyOf(digest, 1), { signer: giver.swarm.peerId, signature: giver.swarm.sign(statement) });
  witness.chunks.set(keyOf(digest, 2), bytes);

  const peer = giver.swarm.peerId;
  const marked = await taker.swarm.chunk(peer, digest, 1, CHUNK, soon());
  assert.ok(bytes.equals(marked.bytes));
  assert.ok(marked.mark);
  assert.equal(marked.mark.signer, peer);
  assert.equal(taker.swarm.verify(peer, statement, marked.mark.signature), true);
  assert.equal(taker.swarm.verify(taker.swarm.peerId, statement, marked.mark.signature), false);

  const into = Buffer.alloc(CHUNK);
  const unmarked = await taker.swarm.chunk(peer, digest, 2, CHUNK, soon(), into);
  assert.equal(unmarked.bytes, into);
  assert.ok(bytes.equals(into));
  assert.equal(unmarked.mark, undefined);

  await assert.rejects(taker.swarm.chunk(peer, digest, 0, CHUNK, soon()), { code: 'PEER_MISSING' });
  await assert.rejects(taker.swarm.chunk('nobody', digest, 0, CHUNK, soon()), { code: 'PEER_UNREACHABLE' });

  // What is held whole comes from the store, and the attendant may still vouch for it.
  const held = giver.holdings.hold(bytes);
  assert.equal((await taker.swarm.chunk(peer, held, 0, CHUNK, soon())).mark, undefined);
  witness.marks.set(keyOf(held, 0), marked.mark);
  assert.deepEqual((await taker.swarm.chunk(peer, held, 0, CHUNK, soon())).mark?.signer, peer);
});

test('a chunk on its way to one peer is busy for another, who gets the others, and then that one', async (t) => {
  const giver = await startPeer(t);
  const witness = attend(giver);
  const gate = Promise.withResolvers<void>();
  let asked = 0;
  for (let index = 0; index < 8; index++) witness.chunks.set(keyOf(digest, index), blob(100));
  const chunk = witness.chunk;
  witness.chunk = async (...args) => {
    if (args[1] === 0) {
      asked += 1;
      await gate.promise;
    }
    return chunk(...args);
  };
  const [one, other] = await Promise.all([startConnected(t, [giver]), startConnected(t, [giver])]);
  const take = (taker: TestPeer, index: number) => taker.swarm.chunk(giver.swarm.peerId, digest, index, 100, soon());
  const first = take(one, 0);
  await until(() => asked === 1);
  await assert.rejects(take(other, 0), { code: 'PEER_BUSY' });
  for (let index = 1; index < 8; index++) await take(other, index);
  gate.resolve();
  await first;
  // The giver may learn a moment later that its last byte has gone.
  await until(() =>
    take(other, 0).then(
      () => true,
      (error) => {
        assert.equal(error.code, 'PEER_BUSY');
        return false;
      },
    ),
  );
  assert.ok(((await giver.metrics.busyAnswers.get()).values[0]?.value ?? 0) >= 1);
});

test('one taker with four lanes never hears busy', async (t) => {
  const giver = await startPeer(t);
  const witness = attend(giver);
  for (let index = 0; index < 64; index++) witness.chunks.set(keyOf(digest, index), blob(1_000));
  const taker = await startConnected(t, [giver]);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < 64) await taker.swarm.chunk(giver.swarm.peerId, digest, next++, 1_000, soon());
  };
  // Each with the next request behind the one that is answered.
  await Promise.all(Array.from({ length: 8 }, lane));
  assert.equal((await giver.metrics.busyAnswers.get()).values[0]?.value, 0);
});

/** A stranger on an agent's control stream. */
async function intrude(t: Parameters<typeof startPeer>[0], agent: TestPeer) {
  const hostile = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: agent.swarm.addresses,
    blobs: [],
    behaviour: 'honest',
  });
  t.after(() => hostile.stop());
  await until(() => agent.swarm.hasNeighbours);
  const stream = await hostile.open(agent.swarm.addresses[0] ?? '', CONTROL_PROTOCOL);
  return { hostile, stream };
}

const strikesOf = async ({ metrics }: TestPeer): Promise<number> =>
  (await metrics.strikes.get()).values.reduce((sum, { value }) => sum + value, 0);

test('who sends more messages than it may is read more slowly, and that is all', async (t) => {
  const agent = await startPeer(t);
  const witness = attend(agent);
  const { stream } = await intrude(t, agent);
  const count = FLEET_BURST + FLEET_RATE / 2;
  const message = encodeFrame(controlRequests.encode(claim(1)));
  const begin = performance.now();
  for (let n = 0; n < count; n++) stream.send(message);
  await until(() => witness.messages.length === count);
  assert.ok(performance.now() - begin >= 400, 'the last 200 took half a second');
  assert.equal(await strikesOf(agent), 0);
});

test('a state that does not fit its size is garbage', async (t) => {
  const agent = await startPeer(t);
  const witness = attend(agent);
  const { stream } = await intrude(t, agent);
  const closed = new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }));
  const state = (marks: number): FleetMessage => ({
    type: 'taking',
    digest,
    size: CHUNK,
    marks: Uint8Array.of(marks),
    mapped: null,
    leases: [],
    received: 0,
  });
  stream.send(encodeFrame(controlRequests.encode(state(1))));
  await until(() => witness.messages.length === 1);
  stream.send(encodeFrame(controlRequests.encode(state(2))));
  await closed;
  await until(async () => (await strikesOf(agent)) === 1);
  assert.equal(witness.messages.length, 1);
});

test('who is banned has left at once, and is heard no more', async (t) => {
  const agent = await startPeer(t);
  const witness = attend(agent);
  const { hostile, stream } = await intrude(t, agent);
  const message = encodeFrame(controlRequests.encode(claim(1)));
  stream.send(message);
  await until(() => witness.messages.length === 1);
  // On their way when the ban falls.
  for (let n = 0; n < 10; n++) stream.send(message);
  agent.swarm.strike(hostile.peerId, 'lied');
  assert.equal(witness.log.at(-1), `${hostile.peerId} left`);
  assert.deepEqual(agent.swarm.neighbours(), []);
  await until(() => !agent.swarm.hasNeighbours);
  assert.deepEqual(witness.log.slice(1), [`${hostile.peerId} said claim`, `${hostile.peerId} left`]);
});

test('a neighbour that reads nothing costs those who do nothing', async (t) => {
  const agent = await startPeer(t);
  const deaf = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: agent.swarm.addresses,
    blobs: [],
    behaviour: 'deaf',
  });
  t.after(() => deaf.stop());
  const other = await startConnected(t, [agent]);
  const witness = attend(other);
  await until(() => agent.swarm.neighbours().length === 2);
  const state: FleetMessage = {
    type: 'taking',
    digest,
    size: 16_384 * CHUNK,
    marks: bitmapOf(16_384),
    mapped: null,
    leases: [],
    received: 0,
  };
  // A MiB and a half: more than any window holds.
  for (let n = 1; n <= 700; n++) {
    agent.swarm.tell([deaf.peerId, other.swarm.peerId], { ...state, received: n });
    if (n % 10 === 0) await until(() => witness.messages.some((one) => one.type === 'taking' && one.received === n));
  }
  agent.swarm.tell([deaf.peerId, other.swarm.peerId], { type: 'left', digest });
  await until(() => witness.messages.at(-1)?.type === 'left');
});
