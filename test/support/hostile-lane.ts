import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { BODY_HEAD_LENGTH, encodeBodyHead, LANE_KEY_LENGTH, TICKET_LENGTH } from '../../protocol/bulk.ts';
import type { LaneAnswer } from '../../protocol/messages.ts';

/** The lane of a hostile peer, which one asker opens: written here and not the agent's, so that it can do wrong. */
export interface HostileLane {
  offer(): LaneAnswer;
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
      const [ticket, key] = [randomBytes(TICKET_LENGTH), randomBytes(LANE_KEY_LENGTH)];
      keys.set(ticket.toString('hex'), key);
      return { type: 'lane', port, ticket, key };
    },
    get bodies() {
      return bodies;
    },
    send(tag, bytes, length) {
      bodies += 1;
      const head = new Uint8Array(BODY_HEAD_LENGTH);
      encodeBodyHead({ tag, length }, head);
      for (const socket of sockets) socket.write(Buffer.concat([head, bytes]));
    },
    cut,
    close() {
      server.close();
      cut();
    },
  };
}
