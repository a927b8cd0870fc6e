import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Node } from '../../../agent/swarm/node.ts';
import { Walks } from '../../../agent/swarm/walks.ts';
import { toDigest } from '../../../protocol/digest.ts';
import { blob, until } from './fixture.ts';

const never = new AbortController().signal;
const digest = () => toDigest('sha256', blob(32));

/** Walks of a node whose DHT answers when the test lets it: `met` are whom each walk names. */
function setting(met: () => readonly string[], isKnown: (peer: string) => boolean, scoutAfter = 60_000) {
  const self = { toString: () => 'self', equals: () => false };
  const gates: (() => void)[] = [];
  let begun = 0;
  const dht = {
    async *findProviders() {
      begun++;
      await new Promise<void>((resolve) => gates.push(resolve));
      for (const id of met()) {
        yield { name: 'PEER_RESPONSE', from: { toString: () => id, equals: () => false }, closer: [] };
      }
    },
  };
  const node = { peerId: self, services: { dht } } as unknown as Node;
  const walks = new Walks({ node, isKnown, now: () => performance.now() }, scoutAfter);
  const walk = async (signal = never) => {
    for await (const _ of walks.providers(digest(), signal));
  };
  return { walks, walk, begun: () => begun, next: () => gates.shift()?.() };
}

test('one walk after the other, and none more once nobody but neighbours was met', async () => {
  const { walks, walk, begun, next } = setting(
    () => ['a'],
    () => true,
  );
  assert.ok(walks.mayFind());
  const all = Promise.all([walk(), walk(), walk()]);
  await sleep(20);
  assert.equal(begun(), 1);
  next();
  await all;
  assert.equal(begun(), 1);
  assert.ok(!walks.mayFind());
  walks.stop();
});

test('where strangers are met each look-up walks, in its turn; one that is over by then does not begin', async () => {
  const { walks, walk, begun, next } = setting(
    () => ['a'],
    () => false,
  );
  const over = new AbortController();
  const all = Promise.all([walk(), walk(over.signal), walk()]);
  await sleep(20);
  over.abort();
  next();
  await sleep(20);
  assert.equal(begun(), 2);
  next();
  await all;
  assert.ok(walks.mayFind());
  walks.stop();
});

test('a walk that takes long keeps nobody waiting', async () => {
  const { walks, walk, begun, next } = setting(
    () => ['a'],
    () => false,
  );
  const first = walk();
  const second = walk();
  await until(async () => begun() === 2);
  next();
  next();
  await Promise.all([first, second]);
  walks.stop();
});

test('once somebody has come it is found out behind, before any look-up, whether there are others', async () => {
  const { walks, begun, next } = setting(
    () => ['a'],
    () => true,
    10,
  );
  walks.scout();
  walks.scout();
  await until(async () => begun() === 1);
  next();
  await until(async () => !walks.mayFind());
  await sleep(50);
  assert.equal(begun(), 1);
  walks.stop();
});
