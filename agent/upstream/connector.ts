import { connect as connectTcp, Socket } from 'node:net';
import { buildConnector, errors } from 'undici';
import { isPrivateAddress, publicLookup, refusedHost } from './address.ts';
import { afterQuiet } from './quiet.ts';

export interface ConnectorInit {
  /** Refuses private addresses, at each connect. */
  readonly isPublicOnly: boolean;
  /** For the name's look-up, TCP and TLS together. Milliseconds. */
  readonly connectTimeout: number;
  /** For {@link Connector.probe}. Milliseconds. */
  readonly probeTimeout: number;
  /** Told of each connection, whether it went to a private address. */
  readonly connected: (hostname: string, isPrivate: boolean) => void;
}

/** Opens sockets and owns them until they are connected. */
export interface Connector {
  /** For undici, which owns the socket from then on. */
  readonly connect: buildConnector.connector;
  /**
   * Whether a connection to the origin can be made, by making one: plain TCP also where it speaks TLS, since what is
   * asked is whether packets come back. Never throws.
   */
  probe(origin: URL): Promise<boolean>;
  /** Ends the sockets that are still connecting. */
  close(): void;
}

export function createConnector(init: ConnectorInit): Connector {
  const { isPublicOnly, connectTimeout, probeTimeout, connected } = init;
  const lookup = isPublicOnly ? { lookup: publicLookup } : {};
  // The cast: undici's options are a union that wants a port, which each call brings.
  const build = { timeout: connectTimeout, allowH2: false, ...lookup } as buildConnector.BuildOptions;
  const connect = buildConnector(build);
  const connecting = new Set<Socket>();
  return {
    connect(target, callback) {
      const refusal = isPublicOnly ? refusedHost(target.hostname) : undefined;
      if (refusal !== undefined) return callback(refusal, null);
      let isOver = false;
      // undici's own time-out has a resolution of half a second, and more on a busy loop: too coarse to promise by.
      const timer = afterQuiet(connectTimeout, () => {
        isOver = true;
        callback(new errors.ConnectTimeoutError(`no connection within ${connectTimeout} ms`), null);
        if (opening instanceof Socket) opening.destroy();
      });
      // The types hide that the socket is returned at once; without it, undici's time-out frees it a little later.
      const opening: unknown = connect(target, (error, socket) => {
        timer.stop();
        if (isOver) return void socket?.destroy();
        isOver = true;
        if (error !== null) return callback(error, null);
        connecting.delete(socket);
        connected(target.hostname, isPrivateAddress(socket.remoteAddress ?? ''));
        callback(null, socket);
      });
      if (opening instanceof Socket) watch(connecting, opening);
    },
    probe(origin) {
      const host = origin.hostname.replace(/^\[|\]$/g, '');
      if (isPublicOnly && refusedHost(host) !== undefined) return Promise.resolve(false);
      const port = Number(origin.port || (origin.protocol === 'https:' ? 443 : 80));
      const socket = connectTcp({ host, port, ...lookup });
      watch(connecting, socket);
      return new Promise((resolve) => {
        const timer = afterQuiet(probeTimeout, () => socket.destroy());
        socket.once('connect', () => {
          resolve(true);
          socket.destroy();
        });
        socket.once('error', () => {});
        socket.once('close', () => {
          timer.stop();
          resolve(false);
        });
      });
    },
    close() {
      for (const socket of connecting) socket.destroy(new Error('closed'));
    },
  };
}

function watch(connecting: Set<Socket>, socket: Socket): void {
  connecting.add(socket);
  socket.once('close', () => connecting.delete(socket));
}
