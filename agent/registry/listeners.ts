import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { addressText, parseAddress } from '../address.ts';
import { AgentError } from '../errors.ts';
import { bind, isAbsent, type Listen, listenByKernel } from './bind.ts';
import { createLatecomers } from './latecomers.ts';
import { serverLimits } from './limits.ts';
import { endLingering } from './linger.ts';
import { refuse } from './refuse.ts';
import { createTurns } from './turns.ts';
import { answerUnparsed, errorOfParser } from './unparsed.ts';

/** How often an address that was not there is tried again. Milliseconds: a look at the kernel's table. */
const RETRY_INTERVAL = 5_000;

/** Sockets that listen, all with one handler. */
export interface Listeners {
  /** What was bound, as `host:port`, in the order in which it was asked for. */
  readonly addresses: readonly string[];
  /** What was asked for and is not there yet; it is tried again until it is. */
  readonly awaited: readonly string[];
  /**
   * Listens on every one of `addresses` (`host:port`) that is there, and waits for the others; on none where none is
   * there, or where one cannot be had for another reason. To be called once.
   * @throws AgentError CONFIG_INVALID, ADDRESS_IN_USE, ADDRESS_UNUSABLE
   */
  open(addresses: readonly string[]): Promise<void>;
  /** Takes no more connections and closes those that idle. Resolves when the last one is gone. */
  close(): Promise<void>;
  closeIdle(): void;
  /** Drops every connection that is left. */
  closeAll(): void;
}

export interface ListenersComponents {
  readonly logger: Logger;
  /** Told of what was bound: at the start, and of each that came later. */
  readonly onBound?: (addresses: readonly string[]) => void;
  /** @default the kernel */
  readonly listen?: Listen;
}

export interface ListenersInit {
  /** For each address. */
  readonly maxConnections: number;
  /** Milliseconds until the headers of a request are in. */
  readonly headersTimeout: number;
  /**
   * Milliseconds between two tries of an address that is not there.
   * @default 5_000
   */
  readonly retryInterval?: number;
}

/** `handler` gets the requests of a connection one at a time. */
export function createListeners(
  handler: RequestListener,
  { logger, onBound, listen = listenByKernel }: ListenersComponents,
  init: ListenersInit,
): Listeners {
  let wanted: readonly string[] = [];
  const bound = new Map<string, { readonly server: Server; readonly text: string }>();
  const openOne = async (text: string): Promise<void> => {
    const address = parseAddress(text);
    if (address === undefined) throw new AgentError('CONFIG_INVALID', `"${text}" is not host:port.`);
    const server = createServer(serverLimits(init.headersTimeout));
    server.maxConnections = init.maxConnections;
    answerAll(server, handler);
    await bind(server, address, listen);
    bound.set(text, { server, text: boundText(server) });
  };
  const boundOf = (addresses: readonly string[]): string[] =>
    addresses.flatMap((address) => bound.get(address)?.text ?? []);
  const late = createLatecomers(
    async (address) => {
      await openOne(address);
      onBound?.(boundOf([address]));
    },
    init.retryInterval ?? RETRY_INTERVAL,
    logger,
  );
  const closeServers = async (): Promise<void> => {
    await Promise.all([...bound.values()].map(({ server }) => closed(server)));
  };
  return {
    get addresses() {
      return boundOf(wanted);
    },
    get awaited() {
      return late.addresses;
    },
    async open(addresses) {
      wanted = [...new Set(addresses)];
      const absent = new Map<string, AgentError>();
      try {
        for (const address of wanted) {
          await openOne(address).catch((error: unknown) => {
            if (!isAbsent(error)) throw error;
            absent.set(address, error);
          });
        }
        const [error] = absent.values();
        if (error !== undefined && bound.size === 0) throw error;
      } catch (error) {
        await closeServers();
        bound.clear();
        throw error;
      }
      for (const { message } of absent.values()) logger.warn(`${message} It is tried again until it is there.`);
      onBound?.(boundOf(wanted));
      late.wait([...absent.keys()]);
    },
    async close() {
      await Promise.all([closeServers(), late.stop()]);
      // What was about to be bound meanwhile.
      await closeServers();
    },
    closeIdle() {
      for (const { server } of bound.values()) server.closeIdleConnections();
    },
    closeAll() {
      for (const { server } of bound.values()) server.closeAllConnections();
    },
  };
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
  const take: RequestListener = (request, response) => {
    // By this method, with which HTTP/2 begins, Node knows it, and cuts the connection without an answer.
    if (request.method === 'PRI') request.method = 'PREFACE';
    turns.take(request, response);
  };
  server.on('request', take);
  // A body is never asked for; of other expectations a server may think what it likes (RFC 9110, 10.1.1).
  server.on('checkContinue', take);
  server.on('checkExpectation', take);
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
