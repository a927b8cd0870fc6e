import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Address, addressText, parseAddress } from '../address.ts';
import { AgentError } from '../errors.ts';
import { SERVER_LIMITS } from './limits.ts';

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

/** `maxConnections` holds for each address. */
export function createListeners(handler: RequestListener, maxConnections: number): Listeners {
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
          const server = await bind(parsed, handler, maxConnections);
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

async function bind(address: Address, handler: RequestListener, maxConnections: number): Promise<Server> {
  const server = createServer(SERVER_LIMITS, handler);
  server.maxConnections = maxConnections;
  server.listen({ host: address.host, port: address.port });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw bindError(error, addressText(address));
  }
  return server;
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
