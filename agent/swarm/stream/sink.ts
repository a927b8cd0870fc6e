import type { Stream } from '@libp2p/interface';
import { pEvent } from 'p-event';
import { AgentError } from '../../errors.ts';
import { watchStall } from './stall.ts';

/**
 * Sends `bytes` and waits until libp2p has passed all of them on, so that one call's worth is queued at most. Once it
 * resolves `bytes` may be used again; not so when it rejects. What the stream's window or a full connection held back
 * is then encrypted, which makes other bytes of it: what Noise had queued before it lets a stream of the muxer drain,
 * all at once and first, and what it took without a "false" before it returned.
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
  // By hand: AbortSignal.any() of a signal that outlives many pieces costs more than the piece, and piles up on it.
  const ends = new AbortController();
  const onAbort = (): void => ends.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const watch = watchStall(timeout, () =>
    ends.abort(new AgentError('PEER_STALLED', `the peer took no bytes for ${timeout} ms`)),
  );
  try {
    // A drain may be the muxer's while this stream's own window is still shut.
    while (stream.writableNeedsDrain || stream.writeBufferLength > 0) {
      const before = stream.writeBufferLength;
      await drained(stream, ends.signal);
      watch.progress(Math.max(before - stream.writeBufferLength, 0));
    }
  } finally {
    watch.stop();
    signal?.removeEventListener('abort', onAbort);
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
