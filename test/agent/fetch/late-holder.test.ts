import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError } from '../../../agent/errors.ts';
import { MIN_CHUNK_SIZE as MIB } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import type { PeerScript } from '../../support/memory-swarm.ts';
import { contentForEachTest } from './content-in-memory.ts';

const bytes = randomBytes(40 * MIB - 1234);

/** How much has come from upstream when the neighbour comes. Bytes. */
const COMES_AFTER = 5 * MIB;

const at = contentForEachTest();

beforeEach(() => {
  at.swarm.hasNeighbours = false;
});

/** Once a part of the blob is here, a neighbour comes that holds it, and upstream takes its time from there on. */
function comesLate(digest: Digest, script: PeerScript): void {
  let isHere = false;
  at.upstream.pace = async () => {
    if (at.upstream.sent < COMES_AFTER) return;
    if (!isHere) {
      isHere = true;
      at.swarm.hasNeighbours = true;
      at.swarm.announce('late', digest, script);
    }
    await sleep(1);
  };
}

describe('a pull that began with no neighbour', () => {
  it('takes the rest from one that comes and holds the blob, and leaves upstream', async () => {
    const digest = at.upstream.add(bytes);
    comesLate(digest, { bytes });
    assert.ok(bytes.equals(await at.read(digest)));
    assert.ok(at.upstream.sent < COMES_AFTER + 10 * MIB, `${at.upstream.sent} bytes of upstream's`);
    assert.deepEqual(at.swarm.strikes, []);
  });

  it('goes back to upstream, for what is missing alone, where that one gives nothing', async () => {
    const digest = at.upstream.add(bytes);
    const chunk = () => {
      throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
    };
    comesLate(digest, { bytes, chunk });
    assert.ok(bytes.equals(await at.read(digest)));
    assert.ok(at.upstream.sent < bytes.length + 2 * MIB, `${at.upstream.sent} bytes of upstream's`);
  });
});
