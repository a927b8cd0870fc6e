import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Content } from './content.ts';
import { type Misbehaviour, metFault } from './upstream-faults.ts';

const MIB = 1024 * 1024;
/** How many pieces a second a slowed body is sent in. */
const RATE_STEPS = 20;

/**
 * Sends `content` from `start` to before `end`, the way the faults say. Headers are written by the caller.
 * `sent` is told of every piece that reached the kernel;
 * where it says false, nothing more is sent and the connection stays open.
 */
export async function sendBody(
  response: ServerResponse,
  content: Content,
  start: number,
  end: number,
  faults: readonly Misbehaviour[],
  sent: (bytes: number) => boolean,
): Promise<void> {
  const rate = metFault(faults, 'rate')?.bytesPerSecond;
  const breaks = metFault(faults, 'break')?.after ?? Number.POSITIVE_INFINITY;
  const stalls = metFault(faults, 'stall')?.after ?? Number.POSITIVE_INFINITY;
  const stop = Math.min(end, start + Math.min(breaks, stalls));
  let at = start;
  for (const whole of pieces(content, at, stop)) {
    const step = rate === undefined ? whole.length : Math.max(1, Math.ceil(rate / RATE_STEPS));
    for (let from = 0; from < whole.length; from += step) {
      const piece = whole.subarray(from, from + step);
      corrupt(piece, at, faults);
      if (!(await write(response, piece))) return;
      if (!sent(piece.length)) return;
      at += piece.length;
      if (rate !== undefined) await sleep((piece.length / rate) * 1000);
    }
  }
  if (stop === end) response.end();
  else if (breaks < stalls) response.destroy();
}

/** The content, and zeros where more was promised than there is. */
function* pieces(content: Content, start: number, end: number): Iterable<Buffer> {
  yield* content.read(start, Math.min(end, content.size));
  if (end > content.size) yield Buffer.alloc(end - Math.max(start, content.size));
}

function corrupt(piece: Buffer, at: number, faults: readonly Misbehaviour[]): void {
  const fault = metFault(faults, 'corrupt');
  if (fault === undefined) return;
  const first = fault.at ?? Math.ceil(at / MIB) * MIB;
  for (let position = first; position < at + piece.length; position += MIB) {
    if (position >= at) piece[position - at] = piece[position - at]! ^ 1;
    if (fault.at !== undefined) return;
  }
}

/** Resolves once the piece is with the kernel: true; or false where the client has gone. */
function write(response: ServerResponse, piece: Buffer): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const closed = (): void => resolve(false);
    response.once('close', closed);
    response.write(piece, (error) => {
      response.off('close', closed);
      resolve(error === undefined || error === null);
    });
  });
}
