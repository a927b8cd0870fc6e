import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Requests of one connection that may wait for the one under way. No client of registries sends a request before it
 * has the answer to the last; a hundred thousand at once would otherwise be worked on at once.
 */
const MAX_WAITING = 32;

/** The requests of each connection, one after the other. */
export interface Turns {
  /** To be called with each request, in the order in which they came. */
  readonly take: RequestListener;
  /** Calls `then` once every request that came on `socket` so far is answered; never, where the connection ends before. */
  afterLast(socket: Duplex, then: () => void): void;
}

interface Line {
  last: ServerResponse;
  waiting: number;
}

/**
 * Hands requests to `handler` one at a time a connection. What waits has begun nothing: so a connection costs what one
 * request costs, and one that breaks leaves nothing behind.
 * @param refuse answers a request for which there is no place; must not wait
 */
export function createTurns(handler: RequestListener, refuse: (response: ServerResponse) => void): Turns {
  // By socket, so that what a connection leaves behind goes with it.
  const lines = new WeakMap<Duplex, Line>();

  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    // The last answer has been given.
    if (socket.writableEnded) return;
    const line = lines.get(socket);
    if (line === undefined || line.last.closed) {
      lines.set(socket, { last: response, waiting: 0 });
      handler(request, response);
      return;
    }
    const before = line.last;
    line.last = response;
    if (line.waiting >= MAX_WAITING) {
      refuse(response);
      return;
    }
    line.waiting += 1;
    before.once('close', () => {
      line.waiting -= 1;
      if (!socket.destroyed) handler(request, response);
    });
  };

  return {
    take,
    afterLast(socket, then) {
      const last = lines.get(socket)?.last;
      if (last === undefined || last.closed) then();
      else last.once('close', then);
    },
  };
}
