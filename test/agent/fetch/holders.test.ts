import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { AgentError } from '../../../agent/errors.ts';
import { Holders } from '../../../agent/fetch/holders.ts';
import type { Holder } from '../../../agent/fetch/ports.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import { toDigest } from '../../../protocol/digest.ts';
import { memorySwarm } from '../../support/memory-swarm.ts';

const never = new AbortController().signal;
const sha256 = (bytes: Uint8Array) => hash('sha256', bytes, 'buffer');

/** What is known of a blob of two chunks that so many peers hold, once its map is in use. */
async function holdersOf(bytes: Uint8Array, peers: number): Promise<Holders> {
  const swarm = memorySwarm();
  const digest = toDigest('sha256', sha256(bytes));
  for (let peer = 0; peer < peers; peer++) swarm.add(`holder ${peer}`, digest, { bytes, address: `10.0.0.${peer}` });
  const holders = new Holders(swarm, digest, bytes.length, () => {});
  holders.look(never);
  while (!holders.done) await turn();
  await holders.adopt(holders.best()?.holders[0] as Holder, never);
  return holders;
}

test('two addresses with one map corroborate it, and it describes the chunks that match it, and no others', async () => {
  const bytes = randomBytes(2 * MIB);
  const holders = await holdersOf(bytes, 2);
  assert.ok(holders.isCorroborated((peer) => peer === 'holder 1'));
  assert.ok(holders.describes(1, sha256(bytes.subarray(MIB))));
  // It came by a liar's mark before the map was known, and has not been looked into yet.
  assert.ok(!holders.describes(1, sha256(randomBytes(MIB))));
  assert.ok(!holders.describes(1, undefined));
});

test('who told later on that it holds the blob is noticed once, unless it is of another size', async () => {
  const bytes = randomBytes(2 * MIB);
  const swarm = memorySwarm();
  const digest = toDigest('sha256', sha256(bytes));
  let changes = 0;
  const holders = new Holders(swarm, digest, bytes.length, () => changes++);
  assert.ok(!holders.notice());
  swarm.announce('liar', digest, { bytes, claimedSize: 1 });
  assert.ok(!holders.notice());
  swarm.announce('late', digest, { bytes });
  assert.ok(holders.notice());
  assert.deepEqual(
    holders.best()?.holders.map(({ peer }) => peer),
    ['late'],
  );
  assert.ok(!holders.notice());
  assert.equal(changes, 1);
});

test('who stalled or lied before it told that it holds the blob is not taken from, who lacked a chunk then is', async () => {
  const bytes = randomBytes(2 * MIB);
  const swarm = memorySwarm();
  const digest = toDigest('sha256', sha256(bytes));
  const holders = new Holders(swarm, digest, bytes.length, () => {});
  for (const [peer, code] of [
    ['mute', 'PEER_STALLED'],
    ['liar', 'DIGEST_MISMATCH'],
    ['early', 'PEER_MISSING'],
  ] as const) {
    holders.failed(peer, new AgentError(code, 'of its part'));
    swarm.announce(peer, digest, { bytes });
    assert.equal(holders.notice(), code === 'PEER_MISSING');
  }
  assert.deepEqual(
    holders.best()?.holders.map(({ peer }) => peer),
    ['early'],
  );
});

test('the word of strangers corroborates nothing, however many they are', async () => {
  const holders = await holdersOf(randomBytes(2 * MIB), 5);
  assert.ok(!holders.isCorroborated(() => false));
});

test('the word of one address corroborates nothing', async () => {
  const holders = await holdersOf(randomBytes(2 * MIB), 1);
  assert.ok(!holders.isCorroborated(() => true));
  assert.ok(holders.isClaimedBy((peer) => peer === 'holder 0'));
  assert.ok(!holders.isClaimedBy((peer) => peer === 'somebody else'));
});
