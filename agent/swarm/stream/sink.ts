import type { Stream } from '@libp2p/interface';
import { pEvent } from 'p-event';
import { AgentError } from '../../errors.ts';
import { watchStall } from './stall.ts';

/**
 * Sends `bytes` and waits until libp2p has passed all of them on, so that one call's worth is queued at most.
 * `stream.onDrain()` works only once a stream (128 MiB of sends queued 124 MiB in memory), hence the event itself.
 *
 * @param timeout ms within which the peer must take some bytes
 * @throws AgentError PEER_STALLED where it took none, PEER_UNREACHABLE where the stream broke; the signal's reason
 */
export async function sendDrained(
  stream: Stream,
  bytes: Uint8Array,
  timeout: number,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  let ready: boolean;
  try {
    ready = stream.send(bytes);
  } catch (error) {
    throw new AgentError('PEER_UNREACHABLE', 'the stream broke', { cause: error });
  }
  if (ready) return;
  const stalled = new AbortController();
  const watch = watchStall(timeout, () =>
    stalled.abort(new AgentError('PEER_STALLED', `the peer took no bytes for ${timeout} ms`)),
  );
  const ends = signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]);
  try {
    // A drain may be the muxer's while this stream's own window is still shut.
    while (stream.writableNeedsDrain || stream.writeBufferLength > 0) {
      const before = stream.writeBufferLength;
      await drained(stream, ends);
      watch.progress(Math.max(before - stream.writeBufferLength, 0));
    }
  } finally {
    watch.stop();
  }
}

async function drained(stream: Stream, signal: AbortSignal): Promise<void> {
  if (stream.status !== 'open') throw new AgentError('PEER_UNREACHABLE', 'the stream broke');
  try {
    await pEvent(stream, 'drain', { rejectionEvents: ['close'], signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new AgentError('PEER_UNREACHABLE', 'the stream broke', { cause: error });
  }
}

/** An it-pipe sink over {@link sendDrained}; it does not close the stream. `onSent` is told of every piece that went. */
export function streamSink(
  stream: Stream,
  timeout: number,
  signal: AbortSignal,
  onSent: (bytes: number) => void,
): (source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => Promise<void> {
  return async (source) => {
    for await (const piece of source) {
      await sendDrained(stream, piece, timeout, signal);
      onSent(piece.length);
    }
  };
}
