import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TAG_QUESTION_BURST, TAG_QUESTION_RATE } from '../../../../agent/swarm/limits.ts';
import { createTagAnswering } from '../../../../agent/swarm/tags/answering.ts';
import { createTagAsking } from '../../../../agent/swarm/tags/ask.ts';
import { toDigest } from '../../../../protocol/digest.ts';
import type { AskedTag, SignedTag } from '../../../../protocol/tag-record.ts';
import { startHostilePeer } from '../../../support/hostile-peer.ts';
import { nextAddress, PATIENCE, soon, startConnected, startPeer, until } from '../fixture.ts';

const asked: AskedTag = { registry: 'docker.io', repository: 'library/app', tag: 'latest', accept: '*/*' };
const told: SignedTag = {
  accept: 'a/b,*/*',
  digest: toDigest('sha256', Buffer.alloc(32)),
  mediaType: 'a/b',
  size: 7,
  checkedAt: 1_763_771_234_567,
  signer: 'somebody',
  signature: new Uint8Array(64),
};

test('a neighbour is asked for a tag, and what it tells comes as it is', { timeout: PATIENCE }, async (t) => {
  const one = await startPeer(t);
  const other = await startConnected(t, [one]);
  const question = () => other.swarm.tag(one.swarm.peerId, asked, soon());
  assert.equal(await question(), undefined, 'nobody has come yet who knows tags');
  const heard: AskedTag[] = [];
  one.swarm.tellTags((of) => {
    heard.push(of);
    return of.tag === 'latest' ? told : undefined;
  });
  const answer = await question();
  assert.deepEqual(
    { ...answer, signature: Buffer.from(answer?.signature ?? []) },
    { ...told, signature: Buffer.alloc(64) },
  );
  assert.equal(await other.swarm.tag(one.swarm.peerId, { ...asked, tag: 'v1' }, soon()), undefined);
  assert.deepEqual(heard, [asked, { ...asked, tag: 'v1' }]);
});

test('who is no neighbour cannot be asked', async (t) => {
  const { swarm } = await startPeer(t);
  await assert.rejects(swarm.tag('nobody', asked, soon()), { code: 'PEER_UNREACHABLE' });
});

test('an answer to another question is one strike', { timeout: PATIENCE }, async (t) => {
  const agent = await startPeer(t);
  const hostile = await startHostilePeer({
    listen: [`/ip4/${nextAddress()}/tcp/0`],
    dial: agent.swarm.addresses,
    blobs: [],
    behaviour: 'wrong-answer',
  });
  t.after(() => hostile.stop());
  await until(() => agent.swarm.hasNeighbours);
  await assert.rejects(agent.swarm.tag(hostile.peerId, asked, soon()), { code: 'PEER_PROTOCOL' });
  const { values } = await agent.metrics.strikes.get();
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.offence, value]),
    [['garbage', 1]],
  );
});

test('what is missing, or not to be had now, is nothing', async () => {
  for (const type of ['missing', 'busy'] as const) {
    const neighbour = { id: 'peer', control: { ask: async () => ({ type, id: 1 }) } };
    assert.equal(await createTagAsking(() => 0)(neighbour, asked, soon()), undefined);
  }
});

test('who asks more than it may is answered more slowly, and nobody else is', async () => {
  let now = 0;
  const answering = createTagAnswering(() => now);
  answering.by(() => told);
  // Whoever has to wait for its turn hears of the end instead.
  const ended = AbortSignal.abort(new Error('ended'));
  const ask = (peer: string) => answering.answer(peer, { type: 'tag', id: 1, ...asked }, ended);
  for (let count = 0; count < TAG_QUESTION_BURST; count++) assert.equal((await ask('one')).type, 'tag');
  await assert.rejects(ask('one'));
  assert.equal((await ask('other')).type, 'tag');
  now += 2 * (1_000 / TAG_QUESTION_RATE);
  assert.equal((await ask('one')).type, 'tag');
  await assert.rejects(ask('one'));
  assert.equal((await answering.answer('one', { type: 'tag', id: 1, ...asked }, soon())).type, 'tag');
});

test('a peer is asked no more than it answers at once, and asked again later', async () => {
  let now = 0;
  let questions = 0;
  const ask = createTagAsking(() => now);
  const control = {
    ask: async () => {
      questions += 1;
      return { type: 'missing', id: 1 } as const;
    },
  };
  const question = () => ask({ id: 'peer', control }, asked, soon());
  for (let count = 0; count < TAG_QUESTION_BURST; count++) await question();
  // However often it is tried meanwhile.
  for (let count = 0; count < 1_000; count++) await assert.rejects(question(), { code: 'PEER_BUSY' });
  now += 1_000 / TAG_QUESTION_RATE;
  await question();
  assert.equal(questions, TAG_QUESTION_BURST + 1);
  await ask({ id: 'other', control }, asked, soon());
});
