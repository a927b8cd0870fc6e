import type { ServerOptions } from 'node:http';

/** Bytes of request line and headers. Clients send well below 4 KiB. */
const MAX_HEADER_SIZE = 16 * 1024;

/** Milliseconds until the headers of a request are in; who sends them byte by byte holds a connection no longer. */
export const HEADERS_TIMEOUT = 15_000;

/** Looks at these time-outs in the time that headers have. */
const CHECKS = 3;

/**
 * Milliseconds a connection may idle between requests. Go's clients drop theirs after 90 s: being later than they are
 * means that no request meets a connection that closes under it.
 */
const KEEP_ALIVE_TIMEOUT = 120_000;

/**
 * What a listener grants to whoever connects.
 * @param headersTimeout milliseconds
 */
export function serverLimits(headersTimeout: number): ServerOptions {
  return {
    maxHeaderSize: MAX_HEADER_SIZE,
    headersTimeout,
    // No body is waited for but that of a blob that is imported, which may take long and has a time-out of its own.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.ceil(headersTimeout / CHECKS),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    noDelay: true,
    // check-request.ts does it: Node's refusal has no body.
    requireHostHeader: false,
  };
}
