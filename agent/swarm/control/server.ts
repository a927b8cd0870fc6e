import type { Stream } from '@libp2p/interface';
import type { Digest } from '../../../protocol/digest.ts';
import { encodeFrame } from '../../../protocol/frame.ts';
import {
  type ControlAnswer,
  type ControlQuestion,
  controlAnswers,
  controlRequests,
} from '../../../protocol/messages.ts';
import { AgentError } from '../../errors.ts';
import type { Hearing } from '../fleet/hearing.ts';
import type { Telling } from '../inventory/inventories.ts';
import type { Holdings } from '../ports.ts';
import { readStream } from '../stream/reader.ts';
import { sendDrained } from '../stream/sink.ts';
import type { TagAnswering } from '../tags/answering.ts';

export interface ControlServerComponents {
  readonly holdings: Holdings;
  /** Takes what the peer tells of its own blobs on this stream. */
  readonly telling: Telling;
  /** Takes what it says of blobs that agents take together. */
  readonly hearing: Hearing;
  /** Answers what it asks of tags. */
  readonly tags: Pick<TagAnswering, 'answer'>;
}

export interface ControlServerInit {
  /** Peer id of who opened the stream. */
  readonly peer: string;
  /** ms after which a peer that does not take its answers has stalled. */
  readonly stallTimeout: number;
  readonly signal: AbortSignal;
}

type BlobQuestion = Extract<ControlQuestion, { digest: Digest }>;

/**
 * Answers a neighbour's questions on the control stream it opened, and takes note of its announcements, until it ends:
 * what it told is forgotten then, for nothing would tell that it has changed.
 * @throws AgentError PEER_PROTOCOL, PEER_STALLED, PEER_UNREACHABLE; the stream is the caller's to abort then
 */
export async function serveControl(
  stream: Stream,
  { holdings, telling, hearing, tags }: ControlServerComponents,
  init: ControlServerInit,
): Promise<void> {
  const reader = readStream(stream, { frameTimeout: init.stallTimeout });
  try {
    // One after the other: while an answer waits to leave, no question is read, and the peer is held back.
    for (;;) {
      const body = await reader.readFrame(init.signal);
      if (body === undefined) break;
      const request = controlRequests.decode(body);
      if (request === undefined) throw new AgentError('PEER_PROTOCOL', 'not a control request');
      switch (request.type) {
        case 'have':
        case 'map': {
          const answer = controlAnswers.encode(answerTo(request, holdings));
          await sendDrained(stream, encodeFrame(answer), init.stallTimeout, init.signal);
          break;
        }
        case 'tag': {
          const answer = controlAnswers.encode(await tags.answer(init.peer, request, init.signal));
          await sendDrained(stream, encodeFrame(answer), init.stallTimeout, init.signal);
          break;
        }
        case 'hold':
        case 'drop':
        case 'complete':
          telling.take(request);
          break;
        default: {
          const held = hearing.hear(request, init.signal);
          if (held !== undefined) await held;
        }
      }
    }
    // Not after the peer has taken the last answer, which may be never.
    telling.close();
    await stream.close({ signal: AbortSignal.timeout(init.stallTimeout) });
  } finally {
    telling.close();
    reader.detach();
  }
}

function answerTo(request: BlobQuestion, holdings: Holdings): ControlAnswer {
  const { id, digest } = request;
  switch (request.type) {
    case 'have': {
      const held = holdings.held(digest);
      if (held === undefined) return { type: 'missing', id };
      return { type: 'holding', id, size: held.size, root: Buffer.from(held.root, 'hex') };
    }
    case 'map': {
      const map = holdings.chunkMapOf(digest);
      return map === undefined ? { type: 'missing', id } : { type: 'map', id, map };
    }
  }
}
