import type { ServerOptions } from 'node:http';

/** Bytes of request line and headers. Clients send well below 4 KiB. */
const MAX_HEADER_SIZE = 16 * 1024;

/** Milliseconds until the headers of a request are in; who sends them byte by byte holds a connection no longer. */
const HEADERS_TIMEOUT = 15_000;

/** Milliseconds until the whole of a request is in. Only requests without a body are answered with content. */
const REQUEST_TIMEOUT = 30_000;

/** Milliseconds between two looks at the time-outs above. */
const CHECK_INTERVAL = 5_000;

/**
 * Milliseconds a connection may idle between requests. Go's clients drop theirs after 90 s: being later than they are
 * means that no request meets a connection that closes under it.
 */
const KEEP_ALIVE_TIMEOUT = 120_000;

/** What a listener grants to whoever connects. */
export const SERVER_LIMITS: ServerOptions = {
  maxHeaderSize: MAX_HEADER_SIZE,
  headersTimeout: HEADERS_TIMEOUT,
  requestTimeout: REQUEST_TIMEOUT,
  connectionsCheckingInterval: CHECK_INTERVAL,
  keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
  noDelay: true,
};
