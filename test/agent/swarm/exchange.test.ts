import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Holder as HolderPort, Swarm } from '../../../agent/fetch/ports.ts';
import type { Holder } from '../../../agent/swarm/holder.ts';
import type { LanSwarm } from '../../../agent/swarm/swarm.ts';
import { chunkMatches } from '../../../protocol/chunk-map.ts';
import { chunkLength } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { blob, soon, startConnected, startPeer, type TestPeer, until } from './fixture.ts';

// The swarm does not import the ports it implements; here the compiler says that it does implement them.
const asPort = (swarm: LanSwarm): Swarm => swarm;
const asHolder = (holder: Holder): HolderPort => holder;

async function holdersOf(peer: TestPeer, digest: Digest): Promise<HolderPort[]> {
  const found: HolderPort[] = [];
  for await (const holder of asPort(peer.swarm).holders(digest, soon())) found.push(asHolder(holder));
  return found;
}

test('a blob of many chunks comes whole, with its map, from the peer that holds it', async (t) => {
  const seeder = await startPeer(t);
  const bytes = blob(21 * 1024 * 1024 + 4321);
  const digest = seeder.holdings.hold(bytes);
  const leecher = await startConnected(t, [seeder]);

  const [holder, ...others] = await holdersOf(leecher, digest);
  assert.ok(holder);
  assert.equal(others.length, 0);
  assert.equal(holder.peer, seeder.swarm.peerId);
  assert.match(seeder.swarm.addresses[0] ?? '', new RegExp(`^/ip4/${holder.address.replaceAll('.', '\\.')}/`));
  assert.equal(holder.size, bytes.length);

  const map = await holder.map(soon());
  assert.equal(map.layout.count, 22);
  const chunks = await Promise.all(
    Array.from({ length: map.layout.count }, (_, index) =>
      holder.chunk(index, chunkLength(map.layout, index), soon()).then(({ bytes }) => bytes),
    ),
  );
  chunks.forEach((chunk, index) => {
    assert.ok(chunkMatches(map, index, chunk), `chunk ${index}`);
  });
  assert.ok(Buffer.concat(chunks).equals(bytes));
  assert.equal((await seeder.metrics.servedBytes.get()).values[0]?.value, bytes.length);
  assert.deepEqual(
    leecher.swarm.peers().map(({ id, state, blobs, strikes }) => ({ id, state, blobs, strikes })),
    [{ id: seeder.swarm.peerId, state: 'connected', blobs: 1, strikes: 0 }],
  );
});

test('sha512 digests, the empty blob, and a blob of one byte are exchanged alike', async (t) => {
  const seeder = await startPeer(t);
  const empty = seeder.holdings.hold(new Uint8Array(0), 'sha512');
  const single = seeder.holdings.hold(new Uint8Array([7]), 'sha512');
  const leecher = await startConnected(t, [seeder]);
  const [ofEmpty] = await holdersOf(leecher, empty);
  assert.equal(ofEmpty?.size, 0);
  assert.equal((await ofEmpty.map(soon())).layout.count, 0);
  const [ofSingle] = await holdersOf(leecher, single);
  assert.deepEqual([...((await ofSingle?.chunk(0, 1, soon()))?.bytes ?? [])], [7]);
});

test('who does not hold the blob is not yielded, and the look-up ends', async (t) => {
  const [one, two] = await Promise.all([startPeer(t), startPeer(t)]);
  const bytes = blob(100);
  const digest = one.holdings.hold(bytes);
  const leecher = await startConnected(t, [one, two]);
  assert.deepEqual(
    (await holdersOf(leecher, digest)).map(({ peer }) => peer),
    [one.swarm.peerId],
  );
});

test('with nobody connected a look-up ends at once', async (t) => {
  const lone = await startPeer(t);
  assert.equal(lone.swarm.hasNeighbours, false);
  assert.deepEqual(await holdersOf(lone, lone.holdings.hold(blob(10))), []);
});

test('a blob gone after the answer is PEER_MISSING, and its peer is not asked for it again', async (t) => {
  const seeder = await startPeer(t);
  const bytes = blob(100);
  const digest = seeder.holdings.hold(bytes);
  const leecher = await startConnected(t, [seeder]);
  const [holder] = await holdersOf(leecher, digest);
  seeder.holdings.drop(digest);
  await assert.rejects(holder?.chunk(0, 100, soon()) ?? Promise.resolve(), { code: 'PEER_MISSING' });
  seeder.holdings.hold(bytes);
  assert.deepEqual(await holdersOf(leecher, digest), []);
});

test('requests beyond what a sender queues for one address are answered busy, the rest served', async (t) => {
  const seeder = await startPeer(t);
  const gate = Promise.withResolvers<void>();
  const { chunk } = seeder.holdings;
  seeder.holdings.chunk = async (...args) => {
    await gate.promise;
    return chunk(...args);
  };
  // Four ids, one address: they share its twelve places. Of their sixteen streams four begin with a "busy". A blob for
  // each: that a chunk goes to one peer at a time is another matter.
  const digests = [1, 2, 3, 4].map(() => seeder.holdings.hold(blob(100)));
  const listen = ['/ip4/127.9.9.9/tcp/0'];
  const leechers = await Promise.all([1, 2, 3, 4].map(() => startConnected(t, [seeder], { listen })));
  const requests: Promise<string>[] = [];
  for (const [nth, leecher] of leechers.entries()) {
    const [holder] = await holdersOf(leecher, digests[nth] as Digest);
    assert.ok(holder);
    for (let at = 0; at < 8; at++) {
      const outcome = holder.chunk(0, 100, soon()).then(
        () => 'served',
        (error) => {
          gate.resolve();
          return error.code;
        },
      );
      requests.push(outcome);
    }
  }
  const outcomes = await Promise.all(requests);
  const served = outcomes.filter((outcome) => outcome === 'served').length;
  const busy = outcomes.filter((outcome) => outcome === 'PEER_BUSY').length;
  assert.ok(served >= 12 && busy >= 1 && served + busy === 32, `${served} served, ${busy} busy`);
});

test('eight requests at once go over four streams, and the streams are used again', async (t) => {
  const seeder = await startPeer(t);
  const digest = seeder.holdings.hold(blob(100));
  const gate = Promise.withResolvers<void>();
  const { chunk } = seeder.holdings;
  let heads = 0;
  seeder.holdings.chunk = async (...args) => {
    heads += 1;
    await gate.promise;
    return chunk(...args);
  };
  const leecher = await startConnected(t, [seeder]);
  const [holder] = await holdersOf(leecher, digest);
  assert.ok(holder);
  const first = Array.from({ length: 20 }, () => holder.chunk(0, 100, soon()));
  // Each stream answers in order, so a gated sender is asked once a stream.
  await until(() => heads === 4);
  gate.resolve();
  assert.equal((await Promise.all(first)).length, 20);
  assert.equal((await holder.chunk(0, 100, soon())).bytes.length, 100);
});

test('a caller that leaves costs others nothing', async (t) => {
  const seeder = await startPeer(t);
  const bytes = blob(8 * 1024 * 1024);
  const digest = seeder.holdings.hold(bytes);
  const leecher = await startConnected(t, [seeder]);
  const [holder] = await holdersOf(leecher, digest);
  assert.ok(holder);
  const leave = new AbortController();
  const left = Array.from({ length: 4 }, (_, index) => holder.chunk(index, 1024 * 1024, leave.signal));
  const stayed = Array.from({ length: 4 }, (_, index) =>
    holder.chunk(index + 4, 1024 * 1024, soon()).then(({ bytes }) => bytes),
  );
  leave.abort(new Error('left'));
  for (const chunk of left) await assert.rejects(chunk, /left/);
  const chunks = await Promise.all(stayed);
  assert.ok(Buffer.concat(chunks).equals(bytes.subarray(4 * 1024 * 1024)));
});

test('a sender that goes away is PEER_UNREACHABLE, not a wait', async (t) => {
  const seeder = await startPeer(t);
  const digest = seeder.holdings.hold(blob(100));
  const asked = Promise.withResolvers<void>();
  seeder.holdings.chunk = () => {
    asked.resolve();
    return new Promise(() => {});
  };
  const leecher = await startConnected(t, [seeder]);
  const [holder] = await holdersOf(leecher, digest);
  const chunk = assert.rejects(holder?.chunk(0, 100, soon()) ?? Promise.resolve(), { code: 'PEER_UNREACHABLE' });
  await asked.promise;
  await seeder.swarm.stop();
  await chunk;
});
