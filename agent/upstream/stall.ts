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

/**
 * All of a body that must be small.
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
  for await (const piece of unlessStalled(body, stallTimeout, host)) {
    received(piece.length);
    length += piece.length;
    if (length > limit) throw new AgentError('UPSTREAM_FAILED', `${host} sent more than ${limit} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, length);
}
