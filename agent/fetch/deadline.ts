import { AgentError } from '../errors.ts';

/**
 * What `act` gives, in `ms` milliseconds at most: a stall time-out alone lets a peer drip bytes and hold a pull.
 * @param what is named in the error
 * @param heldBack milliseconds, in all so far, in which a limit of our own was in the way: they do not count
 * @throws what `act` throws once its signal fires: the reason of `signal`, or AgentError PEER_STALLED when it is late
 */
export async function withDeadline<T>(
  signal: AbortSignal,
  ms: number,
  what: string,
  act: (signal: AbortSignal) => Promise<T>,
  heldBack: () => number = () => 0,
): Promise<T> {
  // By hand: AbortSignal.any() leaves something behind on a long-lived signal for each of a blob's chunks.
  const either = new AbortController();
  const onAbort = () => either.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  let counted = heldBack();
  const look = () => {
    const more = heldBack() - counted;
    counted += more;
    if (more > 0) timer = setTimeout(look, Math.ceil(more));
    else either.abort(new AgentError('PEER_STALLED', `${what} took longer than ${ms} ms`));
  };
  let timer = setTimeout(look, ms);
  try {
    return await act(either.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
