import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { sharedBuffer } from '../../../../agent/swarm/bulk/shared.ts';
import type { Holder } from '../../../../agent/swarm/holder.ts';
import { chunkLength, layoutOf, MIN_CHUNK_SIZE as MIB } from '../../../../protocol/chunks.ts';
import type { Digest } from '../../../../protocol/digest.ts';
import { blob, nextAddress, soon, startConnected, startPeer, type TestPeer, until } from '../fixture.ts';

/** A peer that listens for lanes too. */
function withLanes() {
  const address = nextAddress();
  return { listen: [`/ip4/${address}/tcp/0`], bulk: [`/ip4/${address}/tcp/0`] };
}

async function holderOf(peer: TestPeer, digest: Digest): Promise<Holder> {
  for await (const holder of peer.swarm.holders(digest, soon())) return holder;
  throw new Error('nobody has it');
}

/** Takes every chunk, eight at a time. @returns the bytes, and how many chunks came by the lane */
async function takeAll(holder: Holder, size: number): Promise<{ bytes: Buffer; byLane: number }> {
  const layout = layoutOf(size);
  const bytes = Buffer.alloc(size);
  const indexes = Array.from({ length: layout.count }, (_, index) => index).values();
  let byLane = 0;
  const take = async () => {
    for (const index of indexes) {
      const chunk = await holder.chunk(index, chunkLength(layout, index), soon());
      bytes.set(chunk.bytes, index * layout.chunkSize);
      if (chunk.sha256 === undefined) continue;
      byLane++;
      assert.deepEqual(Buffer.from(chunk.sha256), hash('sha256', chunk.bytes, 'buffer'));
    }
  };
  await Promise.all(Array.from({ length: 8 }, take));
  return { bytes, byLane };
}

async function pair(t: TestContext, size = 21 * MIB + 4321) {
  const seeder = await startPeer(t, withLanes());
  const bytes = blob(size);
  const digest = seeder.holdings.hold(bytes);
  const leecher = await startConnected(t, [seeder], withLanes());
  return { seeder, leecher, bytes, holder: await holderOf(leecher, digest) };
}

const laneOf = (peer: TestPeer) => peer.swarm.peers()[0]?.bulk;

test('chunks come by a lane as soon as there is one, and nobody waits for it', async (t) => {
  const { seeder, leecher, bytes, holder } = await pair(t);
  assert.equal(laneOf(leecher), 'unused');
  const first = await takeAll(holder, bytes.length);
  assert.ok(first.bytes.equals(bytes));
  await until(() => laneOf(leecher) === 'open');
  const second = await takeAll(holder, bytes.length);
  assert.ok(second.bytes.equals(bytes));
  assert.equal(second.byLane, 22);
  assert.equal(laneOf(seeder), 'unused', 'a lane has a direction');
  // Its sender knows a moment later.
  await until(async () => (await seeder.metrics.servedBytes.get()).values[0]?.value === 2 * bytes.length);
});

test('requests that are given up while their bodies come by the lane give their places back', async (t) => {
  const { leecher, bytes, holder } = await pair(t);
  await takeAll(holder, bytes.length);
  await until(() => laneOf(leecher) === 'open');
  const late = AbortSignal.timeout(10_000);
  const NO_LONGER = new Error('no longer wanted');
  const giveUp = async (index: number) => {
    const into = sharedBuffer(MIB);
    const over = new AbortController();
    const asked = holder.chunk(index, MIB, AbortSignal.any([over.signal, late]), into);
    let isOver = false;
    const settled = asked.then(
      () => {},
      (error) => assert.equal(error, NO_LONGER),
    );
    void settled.finally(() => {
      isOver = true;
    });
    // From the first bytes on.
    while (!isOver && into.subarray(0, 64).every((byte) => byte === 0)) await new Promise(setImmediate);
    over.abort(NO_LONGER);
    await settled;
  };
  for (let round = 0; round < 8; round++) {
    await Promise.all(Array.from({ length: 8 }, (_, place) => giveUp((round * 8 + place) % 21)));
  }
  const { bytes: all, byLane } = await takeAll(holder, bytes.length);
  assert.ok(all.equals(bytes));
  assert.ok(byLane > 0);
  assert.equal(leecher.swarm.peers()[0]?.strikes, 0);
});

test('with lanes off on either side chunks go as before, and it is told', async (t) => {
  for (const [theirs, ours, told] of [
    [{}, withLanes(), 'refused'],
    [withLanes(), {}, 'off'],
  ] as const) {
    const seeder = await startPeer(t, theirs);
    const bytes = blob(5 * MIB);
    const digest = seeder.holdings.hold(bytes);
    const leecher = await startConnected(t, [seeder], ours);
    const taken = await takeAll(await holderOf(leecher, digest), bytes.length);
    assert.ok(taken.bytes.equals(bytes));
    assert.equal(taken.byLane, 0);
    await until(() => laneOf(leecher) === told);
  }
});
