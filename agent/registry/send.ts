import type { ServerResponse } from 'node:http';

/** How long a client may take to close its side after a response that ended short. Milliseconds. */
const LINGER = 5_000;

/** What became of a body. `failed`: the source broke, and the response ended short. */
export type Outcome =
  | { readonly kind: 'sent' }
  | { readonly kind: 'left' }
  | { readonly kind: 'stalled' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** A signal that fires when the client is gone, or `parent` fires; it follows the response and needs no disposal. */
export function clientSignal(response: ServerResponse, parent: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const signal = controller.signal;
  const onParent = () => controller.abort(parent.reason);
  const onClose = () => {
    parent.removeEventListener('abort', onParent);
    controller.abort(new Error('the client is gone'));
  };
  if (response.closed || response.destroyed) controller.abort(new Error('the client is gone'));
  else if (parent.aborted) onParent();
  else {
    parent.addEventListener('abort', onParent, { once: true });
    response.once('close', onClose);
  }
  return signal;
}

/**
 * Writes `length` bytes from `source` as the body of a response whose headers are set, no faster than the client reads:
 * beyond the piece in hand nothing waits in memory but what the socket buffers.
 *
 * A body that fails in the middle ends short and with FIN: clients resume a short body at the byte, but not a reset
 * connection. A client that reads nothing for `stallTimeout` milliseconds is let go. Never throws.
 */
export async function sendBody(
  response: ServerResponse,
  source: AsyncIterable<Uint8Array>,
  length: number,
  stallTimeout: number,
): Promise<Outcome> {
  // Bytes may be a minute away (those of peers are held back), while clients wait 30 s for headers; where some are here,
  // they go in one piece with them.
  const headers = setImmediate(() => response.flushHeaders());
  const client = watch(response, stallTimeout);
  let left = length;
  try {
    for await (const piece of source) {
      if (client.outcome !== undefined) return client.outcome;
      // More than was announced would be read as the beginning of the next response.
      if (piece.length > left) throw new Error('the source gave more than the size it announced');
      left -= piece.length;
      // Until it is flushed: the source may use the piece's memory again for the next.
      if (piece.length > 0) await client.flushed(piece);
      if (client.outcome !== undefined) return client.outcome;
    }
    if (left > 0) throw new Error(`the source ended ${left} bytes early`);
    response.end();
    return { kind: 'sent' };
  } catch (error) {
    if (client.outcome !== undefined) return client.outcome;
    response.flushHeaders();
    endShort(response, stallTimeout);
    return { kind: 'failed', error };
  } finally {
    clearImmediate(headers);
    client.release();
  }
}

/** Whoever reads a body. */
export interface Client {
  /** Set once there is nobody left to send to. */
  readonly outcome: Outcome | undefined;
  /** Resolves when the kernel has taken all of `piece`, or the client is gone or has stalled. */
  flushed(piece: Uint8Array): Promise<void>;
  release(): void;
}

/** @param stallTimeout milliseconds that a piece may wait for the client */
export function watch(response: ServerResponse, stallTimeout: number): Client {
  const idle = () => {};
  let outcome: Outcome | undefined = response.destroyed ? { kind: 'left' } : undefined;
  let wake = idle;
  const timer = setTimeout(() => {
    if (wake === idle) return;
    outcome = { kind: 'stalled' };
    response.destroy();
    wake();
  }, stallTimeout);
  timer.unref();
  const onClose = () => {
    outcome ??= { kind: 'left' };
    wake();
  };
  response.once('close', onClose);
  return {
    get outcome() {
      return outcome;
    },
    async flushed(piece) {
      if (outcome !== undefined) return;
      timer.refresh();
      await new Promise<void>((resolve) => {
        wake = resolve;
        response.write(piece, () => resolve());
      });
      wake = idle;
    },
    release() {
      clearTimeout(timer);
      response.off('close', onClose);
    },
  };
}

/**
 * Ends a response before its Content-Length: what was written is flushed, then FIN. `response.end()` would keep the
 * connection open, with a client that waits for the rest; `response.destroy()` would drop what is still in this
 * process, and reset the connection where the client had sent anything more.
 */
function endShort(response: ServerResponse, flushTimeout: number): void {
  const socket = response.socket;
  // Without a socket it waits behind another response on the same connection: no client of registries pipelines.
  if (socket === null || socket.destroyed) {
    response.destroy();
    return;
  }
  let timer = setTimeout(() => socket.destroy(), flushTimeout);
  timer.unref();
  socket.once('finish', () => {
    clearTimeout(timer);
    timer = setTimeout(() => socket.destroy(), LINGER);
    timer.unref();
  });
  socket.once('close', () => clearTimeout(timer));
  socket.end();
}
