import type { Readable } from 'node:stream';
import { AgentError } from '../errors.ts';
import { upstreamError } from './failure.ts';
import { afterQuiet } from './quiet.ts';

/**
 * The pieces of a body. A wait for the next that is longer than `stallTimeout` ends it; the time in which its reader
 * is busy elsewhere does not count. Ending the iteration early, or an error, closes the connection.
 * @param stallTimeout milliseconds
 * @throws AgentError UPSTREAM_STALLED, or UPSTREAM_UNREACHABLE where the connection broke
 */
export async function* unlessStalled(body: Readable, stallTimeout: number, host: string): AsyncGenerator<Buffer> {
  let isWaiting = false;
  const timer = afterQuiet(stallTimeout, () => {
    if (isWaiting) body.destroy(new AgentError('UPSTREAM_STALLED', `${host} sent nothing for ${stallTimeout} ms`));
  });
  const pieces: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      timer.restart();
      isWaiting = true;
      const next = await pieces.next();
      isWaiting = false;
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    throw upstreamError(error, host);
  } finally {
    timer.stop();
    body.destroy();
  }
}

/** What is small may take so many stall time-outs in all: a byte now and then is no stall, and would hold it for days. */
const WHOLE_WITHIN = 2;

/**
 * All of a body that must be small, within twice the stall time-out.
 * @param limit bytes
 * @param received told of every piece
 * @throws AgentError UPSTREAM_FAILED where it is longer, and as {@link unlessStalled}
 */
export async function readWhole(
  body: Readable,
  limit: number,
  stallTimeout: number,
  host: string,
  received: (bytes: number) => void = () => {},
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  const within = WHOLE_WITHIN * stallTimeout;
  const timer = setTimeout(() => {
    body.destroy(new AgentError('UPSTREAM_STALLED', `${host} did not send all within ${within} ms`));
  }, within);
  try {
    for await (const piece of unlessStalled(body, stallTimeout, host)) {
      received(piece.length);
      length += piece.length;
      if (length > limit) throw new AgentError('UPSTREAM_FAILED', `${host} sent more than ${limit} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces, length);
  } finally {
    clearTimeout(timer);
  }
}
