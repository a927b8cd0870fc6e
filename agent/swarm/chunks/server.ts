import type { Stream } from '@libp2p/interface';
import { pipe } from 'it-pipe';
import { encodeFrame } from '../../../protocol/frame.ts';
import { type ChunkAnswer, type ChunkRequest, chunkAnswers, chunkRequests } from '../../../protocol/messages.ts';
import { AgentError } from '../../errors.ts';
import type { LaneHolders, OutgoingLane } from '../bulk/holder.ts';
import { PIECE, READ_AHEAD } from '../limits.ts';
import type { Attendant, Holdings } from '../ports.ts';
import { readStream } from '../stream/reader.ts';
import { sendDrained, streamSink } from '../stream/sink.ts';
import type { Admission, Asker, Place } from './admission.ts';
import { type BodySending, lessHead, pieces, sendByLane } from './body.ts';
import type { ChunkBuffers } from './buffers.ts';

export interface ChunkServerComponents extends BodySending {
  readonly holdings: Holdings;
  /** Has the chunks of blobs that are still on their way, and who vouches for a chunk. */
  readonly attendance: Pick<Attendant, 'chunk' | 'mark'>;
  readonly admission: Admission;
  /** What chunks are read into on their way. */
  readonly buffers: ChunkBuffers;
  /** The lanes that peers have opened. @default none */
  readonly lanes?: Pick<LaneHolders, 'of'> | undefined;
  /** Told of every request that was answered "busy". */
  onBusy(): void;
  /** Monotonic, ms. */
  now(): number;
}

export interface ChunkServerInit {
  /** By whom the requests are limited. */
  readonly asker: Asker;
  /** ms after which a peer that takes no bytes has stalled. */
  readonly stallTimeout: number;
  readonly signal: AbortSignal;
}

/** A request that was read; without a place it is answered "busy", in its turn. */
interface Queued {
  readonly request: ChunkRequest;
  readonly place: Place | undefined;
  /** The lane the asker had when it asked. On another, which it may have by the time of the answer, the tag says nothing. */
  readonly lane: OutgoingLane | undefined;
}

/**
 * Answers the chunk requests of a stream in their order, until it ends. A body half sent cannot be taken back: whatever
 * goes wrong in it throws, and the caller aborts the stream.
 * @throws AgentError PEER_PROTOCOL, PEER_STALLED, PEER_UNREACHABLE
 */
export async function serveChunks(
  stream: Stream,
  components: ChunkServerComponents,
  init: ChunkServerInit,
): Promise<void> {
  const { admission, lanes, now } = components;
  const reader = readStream(stream, { frameTimeout: init.stallTimeout });
  const queue: Queued[] = [];
  const stop = new AbortController();
  const signal = AbortSignal.any([init.signal, stop.signal]);
  let ended = false;
  let wakeAnswers: (() => void) | undefined;
  let wakeReads: (() => void) | undefined;
  // One way to leave both waits, besides the other loop's call.
  const onStop = (): void => {
    wakeAnswers?.();
    wakeReads?.();
  };
  signal.addEventListener('abort', onStop);

  const readRequests = async (): Promise<void> => {
    for (;;) {
      while (queue.length >= READ_AHEAD) {
        signal.throwIfAborted();
        await new Promise<void>((resolve) => {
          wakeReads = resolve;
        });
      }
      const body = await reader.readFrame(signal);
      if (body === undefined) return;
      const request = chunkRequests.decode(body);
      if (request === undefined) throw new AgentError('PEER_PROTOCOL', 'not a chunk request');
      const lane = request.lane === undefined ? undefined : lanes?.of(init.asker.peer);
      queue.push({ request, place: admission.enter(init.asker, request, now()), lane });
      wakeAnswers?.();
    }
  };

  const answerRequests = async (): Promise<void> => {
    for (;;) {
      const next = queue.shift();
      if (next === undefined) {
        if (ended) return;
        signal.throwIfAborted();
        await new Promise<void>((resolve) => {
          wakeAnswers = resolve;
        });
        continue;
      }
      wakeReads?.();
      try {
        await answer(stream, next, components, init, signal);
      } finally {
        next.place?.leave();
      }
    }
  };

  // Whichever fails first ends the other.
  const fail = (error: unknown): never => {
    stop.abort(error);
    throw error;
  };
  const reading = readRequests()
    .finally(() => {
      ended = true;
      wakeAnswers?.();
    })
    .catch(fail);
  try {
    await Promise.all([reading, answerRequests().catch(fail)]);
    await stream.close({ signal: AbortSignal.timeout(init.stallTimeout) });
  } finally {
    signal.removeEventListener('abort', onStop);
    reader.detach();
    for (const { place } of queue) place?.leave();
  }
}

async function answer(
  stream: Stream,
  { request: { digest, index, lane: tag }, place, lane }: Queued,
  components: ChunkServerComponents,
  { stallTimeout, asker }: ChunkServerInit,
  signal: AbortSignal,
): Promise<void> {
  const { holdings, attendance, buffers, lanes, onBusy } = components;
  const say = (message: ChunkAnswer) =>
    sendDrained(stream, encodeFrame(chunkAnswers.encode(message)), stallTimeout, signal);
  if (place === undefined) {
    onBusy();
    return say({ type: 'busy' });
  }
  const buffer = buffers.take();
  const { room } = buffer;
  // Whoever asks for a chunk on its way asks for what it was told of; the store knows at once what it does not hold.
  const chunk =
    (await holdings.chunk(digest, index, signal, room)) ?? (await attendance.chunk(digest, index, signal, room));
  if (chunk === undefined) {
    buffers.giveBack(buffer);
    return say({ type: 'missing' });
  }
  const { signer, signature } = attendance.mark(digest, index) ?? {};
  const mark: [string, Uint8Array] | null =
    signer === undefined || signature === undefined ? null : [signer, signature];
  const message = { type: 'chunk', length: chunk.length, mark } as const;
  if (lane === undefined || tag === undefined || lanes?.of(asker.peer) !== lane) {
    const head = encodeFrame(chunkAnswers.encode(message));
    const sink = streamSink(stream, stallTimeout, signal, lessHead(head, components.onServed));
    await pipe(pieces(head, chunk, buffer, components.upload, PIECE, signal), sink);
  } else {
    const sending = sendByLane(lane, tag, chunk, buffer, components, signal);
    // Heard below, where `say` fails first too: until the body has gone its buffer and its place are taken.
    sending.catch(() => {});
    // The thread has the body before this one encrypts the answer: whoever asked waits for the body.
    await new Promise(setImmediate);
    try {
      await say({ ...message, lane: true });
    } finally {
      await sending;
    }
  }
  // Only here: all of it has been encrypted, see sendDrained.
  buffers.giveBack(buffer);
}
