import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from '../../../agent/errors.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import type { PeerScript } from '../../support/memory-swarm.ts';
import { contentForEachTest } from './content-in-memory.ts';

const bytes = randomBytes(3 * MIB - 1234);

/** The longest a pull may be held back by holders that bring nothing, with room for a busy host. ms */
const BOUND = 5_500;

const at = contentForEachTest();

/** Claims the blob, with a chunk map of its own that it never gives. */
function falseHolder(wait: number): PeerScript {
  const map = async () => {
    await sleep(wait);
    throw new AgentError('PEER_BUSY', 'the peer serves as many as it can');
  };
  return { bytes: randomBytes(bytes.length), map };
}

async function took(digest: Digest): Promise<number> {
  const begun = performance.now();
  assert.ok(bytes.equals(await at.read(digest)));
  return performance.now() - begun;
}

for (const [how, holdBack] of [
  ['found by the look-up', (peer: string, digest: Digest) => at.swarm.add(peer, digest, falseHolder(1_500))],
  ['told of before', (peer: string, digest: Digest) => at.swarm.announce(peer, digest, falseHolder(1_500))],
] as const) {
  test(`holders that never give their maps, ${how}: together they hold upstream back no longer than one may`, async () => {
    const digest = at.upstream.add(bytes);
    for (let n = 0; n < 8; n++) holdBack(`false ${n}`, digest);
    const time = await took(digest);
    assert.ok(time < BOUND, `${time} ms`);
    assert.equal(at.upstream.sent, bytes.length);
  });
}

test('a new false holder at each lease does not have it given back for ever', async () => {
  const digest = at.upstream.add(bytes);
  const { tellers } = at.swarm;
  let told = 0;
  at.swarm.tellers = (wanted) => {
    // The first look is the look-up's.
    if (told++ > 0) at.swarm.announce(`false ${told}`, digest, falseHolder(0));
    return tellers(wanted);
  };
  const time = await took(digest);
  assert.ok(time < BOUND, `${time} ms`);
  assert.ok(told < 8, `${told} leases`);
});

test('who holds the blob and is heard of after such holders is waited for, and taken from', async () => {
  const digest = at.upstream.add(bytes);
  for (let n = 0; n < 4; n++) at.swarm.announce(`false ${n}`, digest, falseHolder(500));
  at.swarm.add('honest', digest, { bytes, answersAfter: 1_000 });
  assert.ok(bytes.equals(await at.read(digest)));
  assert.equal(at.upstream.sent, 0);
});
