import { request } from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import { AgentError } from '../errors.ts';
import type { HttpProxy } from '../proxy.ts';
import { type Destination, hostOf, portOf } from './no-proxy.ts';

/** How an attempt ended: with the destination's socket, with the proxy's refusal, or below HTTP. */
export type TunnelOutcome =
  | { readonly kind: 'open'; readonly socket: Socket }
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'failed'; readonly error: Error };

/** What a proxy answers that tried, and could not connect. */
const UNREACHED = new Set([502, 503, 504]);

const ACCEPTED = 200;
const REDIRECTED = 300;
const UNAUTHENTICATED = 407;

/**
 * Has a proxy connect to a destination (CONNECT, RFC 9110 §9.3.6): also for http, so that what the proxy refuses is
 * never taken for the registry's answer. The proxy looks the name up.
 *
 * @param ended called once, with a failure also where the caller destroys the socket before
 * @returns the connection to the proxy, which is the caller's: an attempt has no time-out of its own
 */
export function openTunnel(
  proxy: HttpProxy,
  destination: Destination,
  ended: (outcome: TunnelOutcome) => void,
): Socket {
  const authority = authorityOf(destination);
  const socket = connect({ host: proxy.hostname, port: proxy.port, noDelay: true, keepAlive: true });
  const headers = {
    host: authority,
    // Node would ask for the connection to be closed: it knows nothing of what is to follow.
    connection: 'keep-alive',
    'proxy-connection': 'keep-alive',
    ...(proxy.authorization === undefined ? {} : { 'proxy-authorization': proxy.authorization }),
  };
  let isOver = false;
  const end = (outcome: TunnelOutcome): void => {
    if (isOver) return;
    isOver = true;
    if (outcome.kind !== 'open') socket.destroy();
    ended(outcome);
  };
  const asking = request({ method: 'CONNECT', path: authority, headers, createConnection: () => socket });
  asking.once('connect', ({ statusCode: status = 0 }, _socket, head) => {
    if (status < ACCEPTED || status >= REDIRECTED) return end({ kind: 'refused', status });
    // Who owns it next adds listeners of its own, a turn later.
    socket.on('error', () => {});
    if (head.length > 0) socket.unshift(head);
    end({ kind: 'open', socket });
  });
  asking.on('error', (error) => end({ kind: 'failed', error }));
  asking.end();
  return socket;
}

/** Whether it shows that the destination is away, or the proxy is. A refusal shows that somebody is there. */
export function isTunnelAway(outcome: TunnelOutcome): boolean {
  return outcome.kind === 'failed' || (outcome.kind === 'refused' && UNREACHED.has(outcome.status));
}

/** Why there is no tunnel, as one of the table's errors. It names the proxy, and never its password. */
export function tunnelError(
  proxy: HttpProxy,
  destination: Destination,
  outcome: Exclude<TunnelOutcome, { kind: 'open' }>,
): AgentError {
  const to = authorityOf(destination);
  return new AgentError(
    'UPSTREAM_UNREACHABLE',
    `${to} cannot be reached: the proxy ${proxy.name} ${reason(outcome)}`,
    outcome.kind === 'failed' ? { cause: outcome.error } : {},
  );
}

function reason(outcome: Exclude<TunnelOutcome, { kind: 'open' }>): string {
  if (outcome.kind === 'failed') {
    const { error } = outcome;
    return `failed (${'code' in error && typeof error.code === 'string' ? error.code : 'unknown'})`;
  }
  const { status } = outcome;
  if (status === UNAUTHENTICATED) return `wants a user and a password that it accepts (${status})`;
  return UNREACHED.has(status) ? `cannot connect to it (${status})` : `refuses to connect to it (${status})`;
}

/** `host:port`, an IPv6 address in brackets. */
function authorityOf(destination: Destination): string {
  const host = hostOf(destination);
  return `${isIP(host) === 6 ? `[${host}]` : host}:${portOf(destination)}`;
}
