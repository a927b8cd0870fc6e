import type { Stream } from '@libp2p/interface';
import { type Asked, createAsked } from './hostile-asked.ts';
import type { Behaviour, Claim } from './hostile-behaviours.ts';
import type { HostileLane } from './hostile-lane.ts';
import { type Message, send, text } from './independent-wire.ts';

/* How a hostile peer gives chunks; see hostile-peer.ts for what may be imported here. */

/** Between the bytes of who dribbles. Milliseconds. */
const DRIP = 1_000;

export interface ChunksInit {
  readonly behaviour: Behaviour;
  readonly claims: ReadonlyMap<string, Claim>;
  /** Where all that it does wrong is done, where there is one. */
  readonly lane: HostileLane | undefined;
  /** Ends what would take for ever. */
  readonly stopped: AbortSignal;
}

export interface ChunkAnswering {
  /** Requests that came. */
  readonly asked: Asked;
  answer(stream: Stream, request: Message, peer: string): Promise<void>;
}

export function createChunkAnswering({ behaviour, claims, lane, stopped }: ChunksInit): ChunkAnswering {
  const asked = createAsked();
  /** Streams that stopped in mid-chunk: one more byte on them would be taken for the rest of that chunk. */
  const stalled = new WeakSet<Stream>();
  const chunkOf = ({ digest, index }: Message, how: Behaviour) => claims.get(text(digest))?.chunk(Number(index), how);

  const answerByLane = (stream: Stream, request: Message, by: HostileLane): void => {
    const { lane: tag } = request;
    const chunk = chunkOf(request, tag === undefined ? 'honest' : behaviour);
    if (chunk === undefined) return void send(stream, { type: 'missing' });
    const { length } = chunk;
    send(stream, { type: 'chunk', length, mark: null, ...(tag === undefined ? {} : { lane: true }) });
    if (tag === undefined) return void stream.send(chunk);
    // Silent from the first half on: more would be taken for the rest of it.
    if (behaviour === 'stall' && by.bodies > 0) return;
    const isHalf = behaviour === 'stall' || behaviour === 'cut';
    by.send(Number(tag), isHalf ? chunk.subarray(0, length / 2) : chunk, length);
    if (behaviour === 'cut') by.cut();
  };

  const answerByStream = async (stream: Stream, request: Message): Promise<void> => {
    if (behaviour === 'silent' || stalled.has(stream)) return;
    if (behaviour === 'garbage') return void stream.send(Buffer.alloc(64, 0xff));
    if (behaviour === 'busy') return void send(stream, { type: 'busy' });
    const chunk = behaviour === 'missing' ? undefined : chunkOf(request, behaviour);
    if (chunk === undefined) return void send(stream, { type: 'missing' });
    const length = behaviour === 'wrong-length' ? chunk.length + 1 : chunk.length;
    send(stream, { type: 'chunk', length, mark: null });
    if (behaviour === 'dribble') return dribble(stream, chunk, stopped);
    if (behaviour !== 'stall' && behaviour !== 'cut') return void stream.send(chunk);
    stream.send(chunk.subarray(0, chunk.length / 2));
    stalled.add(stream);
    if (behaviour === 'cut') stream.abort(new Error('cut'));
  };

  return {
    asked,
    async answer(stream, request, peer) {
      asked.count(peer);
      if (lane === undefined) await answerByStream(stream, request);
      else answerByLane(stream, request, lane);
    },
  };
}

async function dribble(stream: Stream, chunk: Uint8Array, stopped: AbortSignal): Promise<void> {
  for (let at = 0; at < chunk.length && stream.status === 'open' && !stopped.aborted; at++) {
    stream.send(chunk.subarray(at, at + 1));
    await new Promise((resolve) => setTimeout(resolve, DRIP).unref());
  }
}
