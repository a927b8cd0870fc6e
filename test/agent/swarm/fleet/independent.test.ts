import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { bitmapOf, hasBit, setBit } from '../../../../protocol/bitmap.ts';
import { toDigest } from '../../../../protocol/digest.ts';
import { type Mark, markStatement } from '../../../../protocol/mark.ts';
import type { FleetMessage } from '../../../../protocol/messages.ts';
import { rendezvousOrder } from '../../../../protocol/rendezvous.ts';
import { startIndependentPeer } from '../../../support/independent-peer.ts';
import { coordinatorOf } from '../../../support/independent-taking.ts';
import { blob, nextAddress, soon, startPeer, until } from '../fixture.ts';

const CHUNK = 1024 * 1024;

test('a peer written from the document shares a blob with an agent: claims, grants, marks, both ways', async (t) => {
  const agent = await startPeer(t);
  const peer = await startIndependentPeer({ listen: `/ip4/${nextAddress()}/tcp/0` });
  t.after(() => peer.stop());
  const whole = blob(3 * CHUNK + 5);
  const chunk = (index: number) => whole.subarray(index * CHUNK, (index + 1) * CHUNK);
  const digest = toDigest('sha256', hash('sha256', whole, 'buffer'));
  const self = agent.swarm.peerId;
  const statement = (index: number, bytes: Uint8Array) =>
    markStatement(digest, whole.length, index, hash('sha256', bytes, 'buffer'));

  // The agent's side, played by hand: chunk 0 is from upstream.
  const heard: FleetMessage[] = [];
  const marks = new Map<number, Mark>([[0, { signer: self, signature: agent.swarm.sign(statement(0, chunk(0))) }]]);
  agent.swarm.attend({
    came() {},
    left() {},
    heard(from, message) {
      assert.equal(from, peer.id);
      heard.push(message);
      if (message.type !== 'claim') return;
      assert.equal(message.size, whole.length);
      const granted = heard.filter(({ type }) => type === 'claim').length === 1;
      agent.swarm.tell(
        [from],
        granted
          ? { type: 'grant', digest, segment: [1, 3], partners: [] }
          : { type: 'refuse', digest, fetching: [self], partners: [] },
      );
    },
    chunk: async (asked, index) => (asked === digest && marks.has(index) ? chunk(index) : undefined),
    mark: (_, index) => marks.get(index),
  });
  const marksOf = () => {
    const states = heard.filter((message) => message.type === 'taking');
    return [0, 1, 2, 3].filter((index) => hasBit(states.at(-1)?.marks ?? new Uint8Array(0), index));
  };
  const announce = (...leases: [number, number][]) => {
    const bitmap = bitmapOf(4);
    for (const index of marks.keys()) setBit(bitmap, index);
    agent.swarm.tell([peer.id], {
      type: 'taking',
      digest,
      size: whole.length,
      marks: bitmap,
      mapped: null,
      leases,
      received: CHUNK,
    });
  };

  const taking = await peer.take(agent.swarm.addresses[0] ?? '', digest, whole.length);
  await until(() => heard.length > 0);
  announce([3, 4]);
  await until(() => taking.theirs !== undefined);
  assert.deepEqual(taking.theirs, {
    size: whole.length,
    marks: new Set([0]),
    leases: [[3, 4]],
    received: CHUNK,
  });
  assert.equal(await taking.get(0), self);

  const { segment } = await taking.claim();
  assert.deepEqual(segment, [1, 3]);
  taking.lease([1, 3]);
  await taking.put(1, chunk(1));
  await taking.put(2, chunk(2));
  await until(() => marksOf().length === 3);
  assert.deepEqual(marksOf(), [0, 1, 2]);
  assert.deepEqual((await taking.claim()).fetching, [self]);

  // The agent takes the peer's own chunk, and one that was its own before, with whose mark each has.
  for (const [index, signer] of [
    [1, peer.id],
    [0, self],
  ] as const) {
    const given = await agent.swarm.chunk(peer.id, digest, index, CHUNK, soon());
    assert.ok(chunk(index).equals(given.bytes));
    assert.equal(given.mark?.signer, signer);
    assert.ok(agent.swarm.verify(signer, statement(index, given.bytes), given.mark.signature));
    marks.set(index, given.mark);
  }

  // The peer coordinates too: what is free is granted.
  announce();
  agent.swarm.tell([peer.id], { type: 'claim', digest, size: whole.length, first: 0 });
  await until(() => heard.some(({ type }) => type === 'grant'));
  const grant = heard.find((message) => message.type === 'grant');
  assert.deepEqual(grant?.segment, [3, 4]);
  marks.set(3, { signer: self, signature: agent.swarm.sign(statement(3, chunk(3))) });
  announce();
  assert.equal(await taking.get(3), self);
  assert.ok(whole.equals(taking.whole()));

  taking.accuse(3);
  taking.leave();
  await until(() => heard.at(-1)?.type === 'left');
  assert.deepEqual(
    heard.filter((message) => message.type === 'accuse').map(({ index, mark: [signer] }) => [index, signer]),
    [[3, self]],
  );
  assert.equal(agent.swarm.peers().find(({ id }) => id === peer.id)?.strikes, 0);
});

test('the document’s coordinator is the code’s', () => {
  for (let n = 0; n < 100; n++) {
    const digest = toDigest('sha256', hash('sha256', String(n), 'buffer'));
    const peers = Array.from({ length: 9 }, (_, at) => `peer ${at} of ${n}`);
    assert.equal(coordinatorOf(digest, peers), rendezvousOrder(digest, peers)[0]);
  }
});
