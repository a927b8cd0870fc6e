import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Address, addressText, parseAddress } from '../address.ts';
import { AgentError } from '../errors.ts';
import { serverLimits } from './limits.ts';
import { endLingering } from './linger.ts';
import { refuse } from './refuse.ts';
import { createTurns } from './turns.ts';
import { answerUnparsed, errorOfParser } from './unparsed.ts';

/** Sockets that listen, all with one handler. */
export interface Listeners {
  /** What was bound, as `host:port`. */
  readonly addresses: string[];
  /**
   * Listens on every one of `addresses` (`host:port`), or on none.
   * @throws AgentError CONFIG_INVALID, ADDRESS_IN_USE, ADDRESS_UNUSABLE
   */
  open(addresses: readonly string[]): Promise<void>;
  /** Takes no more connections and closes those that idle. Resolves when the last one is gone. */
  close(): Promise<void>;
  closeIdle(): void;
  /** Drops every connection that is left. */
  closeAll(): void;
}

export interface ListenersInit {
  /** For each address. */
  readonly maxConnections: number;
  /** Milliseconds until the headers of a request are in. */
  readonly headersTimeout: number;
}

/** `handler` gets the requests of a connection one at a time. */
export function createListeners(handler: RequestListener, init: ListenersInit): Listeners {
  const servers: Server[] = [];
  const bound: string[] = [];
  return {
    get addresses() {
      return bound;
    },
    async open(addresses) {
      try {
        for (const address of addresses) {
          const parsed = parseAddress(address);
          if (parsed === undefined) throw new AgentError('CONFIG_INVALID', `"${address}" is not host:port.`);
          const server = await bind(parsed, handler, init);
          servers.push(server);
          bound.push(boundText(server));
        }
      } catch (error) {
        await Promise.all(servers.splice(0).map(closed));
        bound.length = 0;
        throw error;
      }
    },
    async close() {
      await Promise.all(servers.map(closed));
    },
    closeIdle() {
      for (const server of servers) server.closeIdleConnections();
    },
    closeAll() {
      for (const server of servers) server.closeAllConnections();
    },
  };
}

async function bind(address: Address, handler: RequestListener, init: ListenersInit): Promise<Server> {
  const server = createServer(serverLimits(init.headersTimeout));
  server.maxConnections = init.maxConnections;
  answerAll(server, handler);
  server.listen({ host: address.host, port: address.port });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw bindError(error, addressText(address));
  }
  return server;
}

/** Whatever comes, there is an answer: Node has none, or one without a body, for all but a plain request. */
function answerAll(server: Server, handler: RequestListener): void {
  const crowded = new AgentError('REQUEST_INVALID', 'Too many requests at once on one connection.');
  const turns = createTurns(handler, (response) => refuse(response, crowded));
  // The parser goes on complaining about each piece that follows.
  const refused = new WeakSet<Duplex>();
  const refuseUnparsed = (socket: Duplex, error: AgentError, headers?: string) => {
    if (refused.has(socket)) return;
    refused.add(socket);
    turns.afterLast(socket, () => answerUnparsed(socket, error, headers));
  };
  server.on('request', turns.take);
  // A body is never asked for; of other expectations a server may think what it likes (RFC 9110, 10.1.1).
  server.on('checkContinue', turns.take);
  server.on('checkExpectation', turns.take);
  server.on('connection', (socket: Socket) => {
    // Node calls it behind an answer that says `Connection: close`.
    socket.destroySoon = () => endLingering(socket);
  });
  server.on('connect', ({ socket }: IncomingMessage, tunnel: Duplex) => {
    // Node has taken its own listeners off. The tunnel is the socket itself, or leads to it.
    for (const each of [socket, tunnel]) each.on('error', () => each.destroy());
    const error = new AgentError('UNSUPPORTED', 'CONNECT is not for a pull-through mirror.');
    refuseUnparsed(socket, error, 'Allow: GET, HEAD\r\n');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    refuseUnparsed(socket, errorOfParser(error.code));
  });
}

function bindError(error: unknown, address: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new AgentError('ADDRESS_IN_USE', `${address} is in use by another process.`, { cause: error });
  }
  const why = {
    EADDRNOTAVAIL: 'is not an address of this machine',
    EACCES: 'needs more rights to listen on',
    ENOTFOUND: 'is not a host name that resolves',
    EAI_AGAIN: 'is not a host name that resolves now',
    EAFNOSUPPORT: 'is of a kind that this machine does not have',
  }[String(code)];
  if (why === undefined) return error;
  return new AgentError('ADDRESS_UNUSABLE', `${address} ${why}.`, { cause: error });
}

async function closed(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

function boundText(server: Server): string {
  const { address, port } = server.address() as AddressInfo;
  return addressText({ host: address, port });
}

/** The host names in addresses to listen on, in lower case: whoever is told to listen there may be called so. */
export function hostsOf(addresses: readonly string[]): string[] {
  return addresses.flatMap((address) => parseAddress(address)?.host.toLowerCase() ?? []);
}
