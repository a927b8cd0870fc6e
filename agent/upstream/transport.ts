import type { SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { Agent, type Dispatcher } from 'undici';
import { createConnector } from './connector.ts';
import { finalHeadersWithin } from './final-headers.ts';
import type { UpstreamOptions } from './options.ts';

/** `short`: manifests, tokens, HEADs; `long`: blobs. Apart, so that a manifest never waits behind slow layers. */
export type Lane = 'short' | 'long';

/** What a request of one hop is. */
export interface Hop {
  readonly url: URL;
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  /** What a POST sends. */
  readonly body?: string;
  readonly lane: Lane;
}

/** Connections to registries and what they redirect to. */
export interface Transport {
  request(hop: Hop, signal: AbortSignal): Promise<Dispatcher.ResponseData>;
  /** Whether a connection to the origin can be made, by making one. Never throws. */
  probe(origin: string): Promise<boolean>;
  /**
   * Whether the last connection to this host went to a private address; through a proxy, whether the host is one as it is
   * written.
   */
  isPrivate(hostname: string): boolean;
  /** Ends all its sockets. */
  close(): Promise<void>;
}

/**
 * A kept connection is closed after so long without a request, whatever the server offers: NAT boxes forget idle
 * ones, and a request on such a one is a hang. Milliseconds.
 */
const MAX_IDLE = 15_000;

/**
 * Bytes read of a body before anybody asks for them: beyond it the kernel holds them, and gives them in larger pieces.
 */
const READ_AHEAD = 16 * 1024;

/** Hosts whose kind of address is remembered. */
const MAX_HOSTS = 256;

/**
 * @param isPublicOnly refuses private addresses, at each connect
 * @param secureContext what TLS trusts; asked for when it is needed
 */
export function createTransport(
  isPublicOnly: boolean,
  secureContext: () => SecureContext,
  options: UpstreamOptions,
): Transport {
  const privateHosts = new LRUCache<string, boolean>({ max: MAX_HOSTS });
  const { connectTimeout, probeTimeout, proxyFor } = options;
  const connected = (hostname: string, isPrivate: boolean): void => void privateHosts.set(hostname, isPrivate);
  const connector = createConnector({
    isPublicOnly,
    connectTimeout,
    probeTimeout,
    connected,
    secureContext,
    proxyFor,
  });
  const agent = (): Agent =>
    new Agent({
      connect: connector.connect,
      connections: options.connections,
      pipelining: 1,
      // One stream's flow control in JavaScript would be the bottleneck of every blob, and HTTP/2 puts all blobs of a
      // pull on one TCP connection, where one lost packet stops them all.
      allowH2: false,
      keepAliveMaxTimeout: MAX_IDLE,
      headersTimeout: options.headersTimeout,
      // The body's reader watches for stalls itself: it knows whether anybody was waiting for a byte.
      bodyTimeout: 0,
    });
  const lanes: Record<Lane, Agent> = { short: agent(), long: agent() };
  const bounded = finalHeadersWithin(options.headersTimeout);
  const dispatchers: Record<Lane, Dispatcher> = {
    short: lanes.short.compose(bounded),
    long: lanes.long.compose(bounded),
  };
  const probes = new Map<string, Promise<boolean>>();
  return {
    request: ({ url, method, headers, body, lane }, signal) =>
      dispatchers[lane].request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers,
        ...(body !== undefined && { body }),
        highWaterMark: READ_AHEAD,
        signal,
        // undici closes the connection after each HEAD, for servers that wrongly send a body with it: every pull begins
        // with a HEAD, and the GET behind it would pay for another handshake. A body's bytes on an idle connection
        // close it, and a request that meets them is sent again.
        reset: false,
      }),
    probe(origin) {
      const running = probes.get(origin);
      if (running !== undefined) return running;
      const probe = connector.probe(new URL(origin)).finally(() => probes.delete(origin));
      probes.set(origin, probe);
      return probe;
    },
    isPrivate: (hostname) => privateHosts.get(hostname) ?? false,
    async close() {
      connector.close();
      await Promise.all([lanes.short.destroy(), lanes.long.destroy()]);
    },
  };
}
