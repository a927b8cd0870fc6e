import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, isAgentError } from '../../../../agent/errors.ts';
import { UNLIMITED } from '../../../../agent/limits/throttle.ts';
import type { Body } from '../../../../agent/swarm/bulk/lane.ts';
import { createChunkStream } from '../../../../agent/swarm/chunks/stream.ts';
import { readStream } from '../../../../agent/swarm/stream/reader.ts';
import { encodeFrame } from '../../../../protocol/frame.ts';
import { type ChunkAnswer, chunkAnswers, chunkRequests } from '../../../../protocol/messages.ts';
import { digestOfBytes } from '../../store/compliance.ts';
import { PATIENCE, soon } from '../fixture.ts';
import { streamPair } from '../stream/stream-pair.ts';

const LENGTH = 64 * 1024;
const digest = digestOfBytes(Buffer.from('blob'));

/** Room on a lane that lets its memory go when `free` is called. */
function heldBody() {
  const calls: string[] = [];
  const { promise, resolve: free } = Promise.withResolvers<void>();
  const body: Body = {
    tag: 1,
    whole: new Promise(() => {}),
    begin: () => void calls.push('begin'),
    cancel: () => {
      calls.push('cancel');
      return promise;
    },
    abandon: () => void calls.push('abandon'),
    unannounced: () => void calls.push('unannounced'),
  };
  return { body, calls, free };
}

for (const [answer, code] of [
  [{ type: 'busy' }, 'PEER_BUSY'],
  [{ type: 'missing' }, 'PEER_MISSING'],
] satisfies [ChunkAnswer, AgentError['code']][]) {
  test(`who is told ${answer.type} may use the chunk's memory again: the lane has let it go`, async (t) => {
    const { near, far } = await streamPair(t);
    const asked = createChunkStream(near, {
      stallTimeout: PATIENCE,
      download: UNLIMITED,
      onLaneProgress: () => () => {},
      onIdle: () => {},
      onClose: () => {},
    });
    const { body, calls, free } = heldBody();
    let isOver = false;
    const refused = assert
      .rejects(asked.request({ digest, index: 0 }, LENGTH, soon(), new Uint8Array(LENGTH), body), (error) =>
        isAgentError(error, code),
      )
      .finally(() => {
        isOver = true;
      });
    // A second request is answered meanwhile: it does not wait for the first one's memory.
    const next = asked.request({ digest, index: 1 }, LENGTH, soon());
    const requests = readStream(far, { frameTimeout: PATIENCE });
    for (let index = 0; index < 2; index++) {
      const frame = await requests.readFrame();
      assert.equal(frame && chunkRequests.decode(frame)?.index, index);
    }
    far.send(encodeFrame(chunkAnswers.encode(answer)));
    far.send(encodeFrame(chunkAnswers.encode({ type: 'chunk', length: LENGTH, mark: null })));
    far.send(new Uint8Array(LENGTH).fill(7));
    assert.equal((await next).bytes[LENGTH - 1], 7);
    await sleep(20);
    assert.deepEqual([isOver, calls], [false, ['cancel']]);
    free();
    await refused;
    asked.close(new AgentError('PEER_UNREACHABLE', 'over'));
  });
}
