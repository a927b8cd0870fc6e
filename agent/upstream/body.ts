import type { Logger } from 'pino';
import { AgentError, isAgentError } from '../errors.ts';
import type { Throttle } from '../limits/throttle.ts';
import { inBatches } from './batches.ts';
import type { BlobAnswer } from './blob-answer.ts';
import { isHopeless, NO_BREAKS, pauseAfter, withBreak } from './breaks.ts';
import { pause } from './pause.ts';
import { unlessStalled } from './stall.ts';

/** How long a slow line may fill the socket's buffer before more is read. Milliseconds: nobody notices, and 25 Gbit/s need 64 MB. */
const REST = 20;

/** What a body is read with. */
export interface BodyComponents {
  /**
   * Asks for the blob again, from `offset` on.
   * @param row which break in a row this is
   */
  readonly reopen: (offset: number, row: number, signal: AbortSignal) => Promise<BlobAnswer>;
  /** Told of every piece that came, also of what is thrown away. */
  readonly received: (bytes: number) => void;
  /** Every piece that came is paid for before the next is read, so that TCP holds the registry back. */
  readonly throttle: Throttle;
  readonly logger: Logger;
}

export interface BodyInit {
  /** For logs and messages. */
  readonly what: string;
  readonly offset: number;
  /** The byte to stop before, where the registry does not send more of itself; undefined for the blob's end. */
  readonly end: number | undefined;
  readonly opened: BlobAnswer;
  readonly stallTimeout: number;
  readonly signal: AbortSignal;
}

/**
 * A blob's bytes from an offset to the end, or to where that was asked for, through as many answers as it takes. It can be iterated once; ending that
 * early, even before its first piece, closes the request.
 */
export function blobBody(components: BodyComponents, init: BodyInit): AsyncIterable<Uint8Array> {
  const stop = new AbortController();
  const signal = AbortSignal.any([init.signal, stop.signal]);
  const pieces = resumed(components, { ...init, signal });
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => pieces.next(),
      async return() {
        // A generator that waits, or that never began, would not hear of a return: its answer is closed from here.
        stop.abort();
        init.opened.answer.body.destroy();
        await pieces.return(undefined).catch(() => {});
        return { done: true, value: undefined };
      },
    }),
  };
}

async function* resumed(components: BodyComponents, init: BodyInit): AsyncGenerator<Uint8Array, undefined> {
  const { what, end, signal } = init;
  let { offset, opened } = init;
  let breaks = NO_BREAKS;
  let size = opened.size;
  for (;;) {
    try {
      for await (const piece of fromOffset(components, opened, offset, init)) {
        offset += piece.length;
        if (size !== undefined && offset > size) throw changed(opened, what);
        yield piece;
      }
      signal.throwIfAborted();
      // A body of unknown length was ended by its own framing; undici throws where that is cut.
      if (size === undefined ? opened.end === undefined : offset === size) return;
      // Read to its own end, so that the connection is there for the next part.
      if (end !== undefined && offset >= end) return;
      throw new AgentError('UPSTREAM_UNREACHABLE', `${opened.answer.host} ended ${what} at byte ${offset}`);
    } catch (error) {
      signal.throwIfAborted();
      if (!isBreak(error)) throw error;
      let reason = error;
      for (let next: BlobAnswer | undefined; next === undefined; ) {
        breaks = withBreak(breaks, offset);
        if (isHopeless(breaks)) throw reason;
        components.logger.info({ what, offset, row: breaks.row, code: reason.code }, 'taking up a broken download');
        await pause(pauseAfter(breaks), signal);
        try {
          next = await components.reopen(offset, breaks.row, signal);
        } catch (failure) {
          signal.throwIfAborted();
          if (!isPassing(failure)) throw failure;
          reason = failure;
          continue;
        }
        if (size !== undefined && next.size !== undefined && next.size !== size) {
          next.answer.body.destroy();
          throw changed(next, what);
        }
        size ??= next.size;
        opened = next;
      }
    }
  }
}

/** What of an answer lies at or behind `offset`: a registry without Range begins anew, and that is thrown away. */
async function* fromOffset(
  { received, throttle }: BodyComponents,
  { answer, start }: BlobAnswer,
  offset: number,
  { stallTimeout, signal }: BodyInit,
): AsyncGenerator<Uint8Array> {
  let skip = offset - start;
  if (answer.statusCode === 416) return void answer.body.destroy();
  const rest = () => pause(REST, signal);
  for await (const piece of inBatches(unlessStalled(answer.body, stallTimeout, answer.host), rest)) {
    received(piece.length);
    // Our own wait, and no stall of the registry's: nobody waits for its bytes meanwhile.
    const held = throttle.take(piece.length, signal);
    if (held !== undefined) await held;
    if (skip < piece.length) yield skip === 0 ? piece : piece.subarray(skip);
    skip = Math.max(0, skip - piece.length);
  }
}

/** What another request may mend. */
function isBreak(error: unknown): error is AgentError {
  return isAgentError(error, 'UPSTREAM_UNREACHABLE', 'UPSTREAM_STALLED');
}

/** What a registry that restarts may answer for a moment. Denied or gone is an answer that stays. */
function isPassing(error: unknown): error is AgentError {
  return isBreak(error) || isAgentError(error, 'UPSTREAM_FAILED', 'UPSTREAM_RATE_LIMITED');
}

function changed({ answer }: BlobAnswer, what: string): AgentError {
  return new AgentError('UPSTREAM_FAILED', `${answer.host} changed the size of ${what} while it was sent`);
}
