import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Strangers } from './strangers.ts';
import type { Tickets } from './tickets.ts';
import { HAS_AES, TLS } from './tls.ts';

/** How long a connection may take to show its ticket: as long as askers wait. ms */
const HANDSHAKE_TIMEOUT = 5_000;

/** Connections at once: a neighbour has one. */
const MAX_CONNECTIONS = 1_024;

export interface ListenerInit {
  readonly host: string;
  readonly port: number;
}

/**
 * Listens for peers that come with a ticket.
 * @returns the server, and its port
 */
export function listen(
  { host, port }: ListenerInit,
  tickets: Tickets,
  onJoined: (peer: string, socket: TLSSocket) => void,
): Promise<{ server: Server; port: number }> {
  const peers = new WeakMap<object, string>();
  const strangers = new Strangers();
  const server = createServer(
    {
      ...TLS,
      // Who decrypts has the choice, unless it is encrypting that is dear.
      honorCipherOrder: !HAS_AES,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      pskCallback: (socket, identity) => {
        const ticket = tickets.use(identity, performance.now());
        if (ticket === undefined) return null;
        peers.set(socket, ticket.peer);
        return ticket.key;
      },
    },
    (socket) => {
      strangers.left(socket.remoteAddress ?? '', socket.remotePort ?? 0);
      // One that resumes an earlier session shows no ticket.
      const peer = peers.get(socket);
      if (peer === undefined) socket.destroy();
      else onJoined(peer, socket);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '', remotePort = 0 } = socket;
    if (strangers.came(socket)) socket.once('close', () => strangers.left(remoteAddress, remotePort));
    else socket.destroy();
  });
  // Anybody may knock; whoever has no ticket is gone by now.
  server.on('tlsClientError', (_, socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      // Accepting may fail later on, for want of descriptors; the next connection is another chance.
      server.on('error', () => {});
      resolve({ server, port: (server.address() as { port: number }).port });
    });
  });
}
