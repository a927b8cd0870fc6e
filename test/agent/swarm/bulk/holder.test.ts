import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { MAX_STRANGERS } from '../../../../agent/swarm/bulk/thread/strangers.ts';
import { QUEUED_CHUNKS_PER_ADDRESS } from '../../../../agent/swarm/limits.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../../protocol/chunks.ts';
import type { Digest } from '../../../../protocol/digest.ts';
import { BULK_PROTOCOL } from '../../../../protocol/names.ts';
import { type HostilePeer, startHostilePeer } from '../../../support/hostile-peer.ts';
import { askLane, connectLane, ended, type Offer, openChunks, readBody } from '../../../support/raw-lane.ts';
import { blob, nextAddress, startPeer, type TestPeer, until } from '../fixture.ts';

/* The holder's side of lanes, against whoever can connect to its port. */

const STALL = 500;

type Over = Parameters<typeof connectLane>[2];

interface Met {
  readonly holder: TestPeer;
  /** Where the holder listens, for libp2p and for lanes. */
  readonly host: string;
  readonly bytes: Buffer;
  readonly digest: Digest;
  /** A peer of the holder's, at an address of its own. */
  join(): Promise<HostilePeer>;
}

async function meet(t: TestContext, size = 3 * MIB): Promise<Met> {
  const host = nextAddress();
  const holder = await startPeer(t, {
    listen: [`/ip4/${host}/tcp/0`],
    bulk: [`/ip4/${host}/tcp/0`],
    stallTimeout: STALL,
  });
  const bytes = blob(size);
  const digest = holder.holdings.hold(bytes);
  const join = async () => {
    const peer = await startHostilePeer({
      listen: [`/ip4/${nextAddress()}/tcp/0`],
      dial: holder.swarm.addresses,
      blobs: [],
      behaviour: 'honest',
    });
    t.after(() => peer.stop());
    await until(() => holder.swarm.peers().some(({ id }) => id === peer.peerId));
    return peer;
  };
  return { holder, host, bytes, digest, join };
}

const addressOf = ({ swarm }: TestPeer) => swarm.addresses[0] ?? '';

/** The peer is served by the lane it asks for, and so by this one: nothing is left of what was before. */
async function assertServes(met: Met, peer: HostilePeer, before?: TLSSocket, over?: Over): Promise<void> {
  (await servedLane(met, peer, before, over)).destroy();
}

/**
 * A lane by which the peer has been served.
 * @param before the peer's lane that this one takes the place of: what was asked before it has ended may go by it
 */
async function servedLane(met: Met, peer: HostilePeer, before?: TLSSocket, over?: Over): Promise<TLSSocket> {
  const socket = await connectLane(met.host, await askLane(peer, addressOf(met.holder)), over);
  if (before !== undefined) await ended(before);
  let isServed = false;
  try {
    const chunks = await openChunks(peer, addressOf(met.holder));
    // The holder knows of the connection a moment after its opener does.
    for (let tag = 1; ; tag++) {
      chunks.ask(met.digest, 1, tag);
      const answer = await chunks.answer();
      assert.ok(answer?.type === 'chunk' && answer.length === MIB);
      if (answer.lane !== true) {
        await chunks.bytes(MIB);
        continue;
      }
      const body = await readBody(socket);
      assert.equal(body.tag, tag);
      assert.ok(body.bytes.equals(met.bytes.subarray(MIB, 2 * MIB)));
      isServed = true;
      return socket;
    }
  } finally {
    if (!isServed) socket.destroy();
  }
}

/** Whether a connection comes to anything; a handshake may seem to succeed for a moment to who connects. */
async function isRefused(host: string, offer: Offer, over: ConnectionOptions = {}): Promise<boolean> {
  const socket = await connectLane(host, offer, over).catch(() => undefined);
  if (socket !== undefined) await ended(socket);
  return true;
}

test('whoever shows no good ticket is refused, and the next who shows one is served', async (t) => {
  const met = await meet(t);
  const { host, holder, join } = met;
  const peer = await join();
  const offer = await askLane(peer, addressOf(holder));
  const none = { ...offer, ticket: Buffer.alloc(16, 7) };
  assert.ok(await isRefused(host, none));
  assert.ok(await isRefused(host, offer, { pskCallback: () => null }));
  const older = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'PSK-AES128-GCM-SHA256' } as const;
  assert.ok(await isRefused(host, offer, older));
  // None of them has used it up.
  const socket = await connectLane(host, offer);
  assert.equal(
    (socket.getEphemeralKeyInfo() as { name?: string }).name,
    'X25519',
    'the ticket’s key alone reads nothing',
  );
  assert.ok(await isRefused(host, offer), 'a ticket twice');
  // A wrong key uses it up: who guesses has one guess.
  const another = await askLane(peer, addressOf(holder));
  assert.ok(await isRefused(host, { ...another, key: Buffer.alloc(32) }));
  assert.ok(await isRefused(host, another));
  // And the lane that was opened in between is the peer's still.
  assert.equal(socket.destroyed, false);
  await assertServes(met, peer, socket);
});

test('a session cannot be resumed: each lane needs a ticket of its own', async (t) => {
  const met = await meet(t);
  const peer = await met.join();
  const offer = await askLane(peer, addressOf(met.holder));
  const first = await connectLane(met.host, offer);
  const [session] = (await once(first, 'session')) as [Buffer];
  first.destroy();
  assert.ok(await isRefused(met.host, offer, { session, pskCallback: undefined as never }));
  await assertServes(met, peer);
});

test('a ticket opens the lane of the peer it was given to, whoever shows it', async (t) => {
  const { host, holder, bytes, digest, join } = await meet(t);
  const [bob, mallory] = [await join(), await join()];
  const socket = await connectLane(host, await askLane(bob, addressOf(holder)));
  t.after(() => socket.destroy());
  let heard = 0;
  socket.on('data', ({ length }) => {
    heard += length;
  });
  const chunks = await openChunks(mallory, addressOf(holder));
  chunks.ask(digest, 0, 1);
  assert.deepEqual(await chunks.answer(), { type: 'chunk', length: MIB, mark: null });
  assert.ok(bytes.subarray(0, MIB).equals(await chunks.bytes(MIB)));
  assert.equal(heard, 0);
});

test('a peer that leaves takes its lane with it, also one that opens as it leaves', async (t) => {
  const met = await meet(t);
  const peer = await met.join();
  const socket = await connectLane(met.host, await askLane(peer, addressOf(met.holder)));
  const late = await askLane(peer, addressOf(met.holder));
  await peer.stop();
  await ended(socket);
  await until(() => !met.holder.swarm.hasNeighbours);
  assert.ok(await isRefused(met.host, late));
  await assertServes(met, await met.join());
});

test('who opens another lane has that one; who says something on one has none', async (t) => {
  const met = await meet(t);
  const peer = await met.join();
  const first = await connectLane(met.host, await askLane(peer, addressOf(met.holder)));
  const second = await connectLane(met.host, await askLane(peer, addressOf(met.holder)));
  await ended(first);
  second.write('hello');
  await ended(second);
  await assertServes(met, peer);
});

test('what was asked for by one lane does not come by the next, where its tag is another’s', async (t) => {
  const met = await meet(t, 4 * MIB);
  const peer = await met.join();
  const first = await servedLane(met, peer);
  const chunks = await openChunks(peer, addressOf(met.holder));
  // More than the stream's window has room for: until they are read, the third waits.
  chunks.ask(met.digest, 0);
  chunks.ask(met.digest, 1);
  chunks.ask(met.digest, 2, 7);
  const second = await connectLane(met.host, await askLane(peer, addressOf(met.holder)));
  t.after(() => second.destroy());
  let heard = 0;
  second.on('data', ({ length }) => {
    heard += length;
  });
  await ended(first);
  for (const index of [0, 1, 2]) {
    assert.deepEqual(await chunks.answer(), { type: 'chunk', length: MIB, mark: null });
    assert.ok(met.bytes.subarray(index * MIB, (index + 1) * MIB).equals(await chunks.bytes(MIB)));
  }
  assert.equal(heard, 0);
});

test('a thousand connections that never shake hands are ended, and keep nobody else out', async (t) => {
  const met = await meet(t);
  const { port } = await askLane(await met.join(), addressOf(met.holder));
  const silent: Socket[] = [];
  t.after(() => {
    for (const socket of silent) socket.destroy();
  });
  for (let opened = 0; opened < 1_000; opened++) {
    const socket = connectPlain({ host: met.host, port, localAddress: '127.0.9.9' });
    socket.on('error', () => {});
    silent.push(socket.resume());
  }
  const open = () => silent.filter(({ destroyed }) => !destroyed).length;
  await until(() => open() <= MAX_STRANGERS);
  await assertServes(met, await met.join());
  await Promise.all(silent.map(ended));
  // Their places are free again, those of their address too.
  await assertServes(met, await met.join(), undefined, { localAddress: '127.0.9.9' });
});

test('a peer that reads next to nothing is let go in time, others are served meanwhile, and its places come back', async (t) => {
  const met = await meet(t, 40 * MIB);
  const { host, holder, digest } = met;
  const slow = await met.join();
  const other = await met.join();
  const socket = await connectLane(host, await askLane(slow, addressOf(holder)));
  socket.pause();
  const drip = setInterval(() => socket.read(1), 1_000);
  t.after(() => clearInterval(drip));
  const chunks = await openChunks(slow, addressOf(holder));
  // More than the kernel holds of a connection that is not read; not the chunk that others are served, which has turns.
  for (let index = 2; index < 40; index++) chunks.ask(digest, index, index);
  // Served or not, each is answered, when the body before it has gone or cannot: the last ones come here.
  let announced = 0;
  const answered = (async () => {
    for (let index = 2; index < 40; index++) {
      const answer = await chunks.answer();
      if (answer?.type !== 'chunk') continue;
      if (answer.lane === true) announced += answer.length;
      else await chunks.bytes(answer.length);
    }
  })();
  await assertServes(met, other);
  await answered;
  clearInterval(drip);
  let had = 0;
  socket.on('data', ({ length }) => {
    had += length;
  });
  await ended(socket);
  assert.ok(had < announced, `${had} of ${announced} bytes came before the lane was ended`);
  // All the places of its address, at once.
  for (let index = 0; index < QUEUED_CHUNKS_PER_ADDRESS; index++) chunks.ask(digest, index);
  for (let index = 0; index < QUEUED_CHUNKS_PER_ADDRESS; index++) {
    assert.equal((await chunks.answer())?.type, 'chunk');
    await chunks.bytes(MIB);
  }
  await assertServes(met, slow);
});

test('what is no wish for a lane is an offence, once a stream', async (t) => {
  const { holder, join } = await meet(t);
  const peer = await join();
  const strikes = () => holder.swarm.peers().find(({ id }) => id === peer.peerId)?.strikes ?? 0;
  for (const count of [1, 2]) {
    const stream = await peer.open(addressOf(holder), BULK_PROTOCOL);
    stream.send(Buffer.alloc(64, 0xff));
    await until(() => strikes() === count);
  }
  const half = await peer.open(addressOf(holder), BULK_PROTOCOL);
  const reset = new Promise((resolve) => half.addEventListener('close', resolve, { once: true }));
  half.send(Buffer.from([5]));
  await reset;
});

test('a holder whose answer is none is struck by who asked', async (t) => {
  const hostile = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    blobs: [blob(3 * MIB)],
    behaviour: 'honest',
    lane: 'garbage',
  });
  t.after(() => hostile.stop());
  const address = nextAddress();
  const asker = await startPeer(t, {
    listen: [`/ip4/${address}/tcp/0`],
    bulk: [`/ip4/${address}/tcp/0`],
    staticPeers: hostile.addresses,
  });
  await until(() => asker.swarm.hasNeighbours);
  const [digest] = hostile.digests;
  assert.ok(digest);
  for await (const holder of asker.swarm.holders(digest, AbortSignal.timeout(20_000))) {
    await holder.chunk(0, MIB, AbortSignal.timeout(20_000));
  }
  await until(() => asker.swarm.peers()[0]?.strikes === 1);
  assert.match(asker.swarm.peers()[0]?.bulk ?? '', /^failed: /);
});
