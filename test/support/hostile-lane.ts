import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Message } from './independent-wire.ts';

/* "Bulk lanes" of docs/protocol.md; see hostile-peer.ts for what may be imported here. */

/** Bytes. */
const TICKET = 16;
const KEY = 32;

/** The lane of a hostile peer, which one asker opens. */
export interface HostileLane {
  /** The answer to a wish for a lane. */
  offer(): Message;
  /** Bodies that were begun on it. */
  readonly bodies: number;
  /** Announces `length` bytes and sends `bytes`. */
  send(tag: number, bytes: Uint8Array, length: number): void;
  /** Ends what is connected. */
  cut(): void;
  close(): void;
}

/** @param host where its peer listens */
export async function listenForLane(host: string): Promise<HostileLane> {
  const keys = new Map<string, Buffer>();
  const sockets = new Set<TLSSocket>();
  let bodies = 0;
  const server = createServer(
    { minVersion: 'TLSv1.3', pskCallback: (_, identity) => keys.get(identity) ?? null },
    (socket) => {
      sockets.add(socket.resume());
      socket.on('error', () => {});
      socket.once('close', () => sockets.delete(socket));
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    offer() {
      const [ticket, key] = [randomBytes(TICKET), randomBytes(KEY)];
      keys.set(ticket.toString('hex'), key);
      return { type: 'lane', port, ticket, key };
    },
    get bodies() {
      return bodies;
    },
    send(tag, bytes, length) {
      bodies += 1;
      const head = Buffer.alloc(8);
      head.writeUInt32BE(tag, 0);
      head.writeUInt32BE(length, 4);
      for (const socket of sockets) socket.write(Buffer.concat([head, bytes]));
    },
    cut,
    close() {
      server.close();
      cut();
    },
  };
}
