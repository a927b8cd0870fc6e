import { connect as connectTcp, Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { buildConnector, errors } from 'undici';
import { AgentError } from '../errors.ts';
import { isPrivateAddress, isPrivateHost, publicLookup, refusedHost } from './address.ts';
import { type Destination, hostOf, portOf } from './no-proxy.ts';
import type { ProxyFor } from './proxy-rule.ts';
import { afterQuiet } from './quiet.ts';
import { isTunnelAway, openTunnel, tunnelError } from './tunnel.ts';

export interface ConnectorInit {
  /**
   * Refuses private addresses, at each connect. Of a name that a proxy resolves nothing is known: then only what is
   * private as it is written.
   */
  readonly isPublicOnly: boolean;
  /** For the name's look-up, TCP, the proxy's answer and TLS together. Milliseconds. */
  readonly connectTimeout: number;
  /** For {@link Connector.probe}; through a proxy, which has to connect first, `connectTimeout`. Milliseconds. */
  readonly probeTimeout: number;
  /** Told of each connection, by the host's name as {@link hostOf} has it, whether it went to a private address. */
  readonly connected: (hostname: string, isPrivate: boolean) => void;
  /** What TLS trusts; asked for when it is needed. */
  readonly secureContext: () => SecureContext;
  readonly proxyFor: ProxyFor;
}

/** Opens sockets and owns them until they are connected. */
export interface Connector {
  /** For undici, which owns the socket from then on. */
  readonly connect: buildConnector.connector;
  /**
   * Whether a connection to the origin can be made, by making one: plain TCP also where it speaks TLS, since what is
   * asked is whether packets come back. Where a proxy is between, it is the one to make it: only a proxy that is away,
   * or says that the origin is, counts as no. Never throws.
   */
  probe(origin: URL): Promise<boolean>;
  /** Ends the sockets that are still connecting. */
  close(): void;
}

export function createConnector(init: ConnectorInit): Connector {
  const { isPublicOnly, connectTimeout, probeTimeout, connected, secureContext, proxyFor } = init;
  const lookup = isPublicOnly ? { lookup: publicLookup } : {};
  // The cast: undici's options are a union that wants a port, which each call brings.
  const build = { timeout: connectTimeout, allowH2: false, ...lookup } as buildConnector.BuildOptions;
  const connectPlain = buildConnector(build);
  let connectTls: buildConnector.connector | undefined;
  const direct: buildConnector.connector = (target, callback) => {
    if (target.protocol !== 'https:') return connectPlain(target, callback);
    connectTls ??= buildConnector({ ...build, secureContext: secureContext() });
    // The types hide that the socket is returned at once; without it, undici's time-out frees it a little later.
    return connectTls(target, callback);
  };
  /** @returns the socket, at once, as undici's own connector does */
  const open = (target: buildConnector.Options, callback: buildConnector.Callback): unknown => {
    const proxy = proxyFor(target);
    if (proxy === undefined) return direct(target, callback);
    return openTunnel(proxy, target, (outcome) => {
      if (outcome.kind !== 'open') return callback(tunnelError(proxy, target, outcome), null);
      if (target.protocol !== 'https:') return callback(null, outcome.socket);
      direct({ ...target, httpSocket: outcome.socket }, callback);
    });
  };
  const tooLate = (target: Destination): Error => {
    const cause = new errors.ConnectTimeoutError(`no connection within ${connectTimeout} ms`);
    const proxy = proxyFor(target);
    if (proxy === undefined) return cause;
    const message = `${hostOf(target)} cannot be reached: no connection through the proxy ${proxy.name}`;
    return new AgentError('UPSTREAM_UNREACHABLE', `${message} within ${connectTimeout} ms`, { cause });
  };
  const connecting = new Set<Socket>();
  return {
    connect(target, callback) {
      const isProxied = proxyFor(target) !== undefined;
      // As the proxy is asked for it: `localhost.` is localhost.
      const host = hostOf(target);
      const refusal = isPublicOnly ? refusedHost(host, !isProxied) : undefined;
      if (refusal !== undefined) return callback(refusal, null);
      let isOver = false;
      // undici's own time-out has a resolution of half a second, and more on a busy loop: too coarse to promise by.
      const timer = afterQuiet(connectTimeout, () => {
        isOver = true;
        callback(tooLate(target), null);
        if (opening instanceof Socket) opening.destroy();
      });
      const opening: unknown = open(target, (error, socket) => {
        timer.stop();
        if (isOver) return void socket?.destroy();
        isOver = true;
        if (error !== null) return callback(error, null);
        // Through a proxy, TLS has a socket of its own around the one that was opened.
        if (opening instanceof Socket) connecting.delete(opening);
        connected(host, isProxied ? isPrivateHost(host) : isPrivateAddress(socket.remoteAddress ?? ''));
        callback(null, socket);
      });
      if (opening instanceof Socket) watch(connecting, opening);
    },
    probe(origin) {
      const host = hostOf(origin);
      const proxy = proxyFor(origin);
      if (isPublicOnly && refusedHost(host, proxy === undefined) !== undefined) return Promise.resolve(false);
      return new Promise((resolve) => {
        const socket =
          proxy === undefined
            ? connectTcp({ host, port: portOf(origin), ...lookup }, () => resolve(true))
            : openTunnel(proxy, origin, (outcome) => {
                resolve(!isTunnelAway(outcome));
                socket.destroy();
              });
        if (proxy === undefined) socket.once('connect', () => socket.destroy());
        watch(connecting, socket);
        const timer = afterQuiet(proxy === undefined ? probeTimeout : connectTimeout, () => socket.destroy());
        socket.on('error', () => {});
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
