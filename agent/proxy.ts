/** An HTTP proxy that connects to others for us (RFC 9110 §9.3.6). */
export interface HttpProxy {
  readonly hostname: string;
  readonly port: number;
  /** `http://host:port`, for logs and messages: without the user and the password. */
  readonly name: string;
  /** The Proxy-Authorization header, where there is a user. A secret. */
  readonly authorization: string | undefined;
}

/** RFC 9110 §4.2.1. */
const DEFAULT_PORT = 80;

/**
 * Reads `http://[user[:password]@]host[:port]`; undefined where it is anything else. The text may hold a password, so no
 * message should repeat it.
 */
export function parseProxy(text: string): HttpProxy | undefined {
  const url = URL.parse(text);
  if (url === null || url.protocol !== 'http:' || url.hostname === '') return undefined;
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return undefined;
  const userInfo = decoded(`${url.username}:${url.password}`);
  if (userInfo === undefined) return undefined;
  const hasUser = url.username !== '' || url.password !== '';
  return {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || DEFAULT_PORT),
    name: url.origin,
    authorization: hasUser ? `Basic ${Buffer.from(userInfo).toString('base64')}` : undefined,
  };
}

/** undefined where a percent sign begins no character: a password that was not escaped. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
