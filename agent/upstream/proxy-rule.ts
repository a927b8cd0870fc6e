import { AgentError } from '../errors.ts';
import { type HttpProxy, parseProxy } from '../proxy.ts';
import { type Destination, isExempt } from './no-proxy.ts';

/** The proxy that a destination is reached through; undefined where it is reached directly. */
export type ProxyFor = (destination: Destination) => HttpProxy | undefined;

export const DIRECTLY: ProxyFor = () => undefined;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The configured proxy for everything; where none is, what the environment says: HTTPS_PROXY for https, HTTP_PROXY for
 * http, except as NO_PROXY says. The names in lower case are stronger, as with curl.
 * @throws AgentError CONFIG_INVALID, which names the key or the variable and never shows its value
 */
export function createProxyRule(configured: string | null, env: Environment): ProxyFor {
  if (configured !== null) {
    const proxy = proxyOf(configured, 'upstream.proxy');
    return () => proxy;
  }
  const https = fromEnvironment(env, 'https_proxy');
  const http = fromEnvironment(env, 'http_proxy');
  if (https === undefined && http === undefined) return DIRECTLY;
  const exempt = variableOf(env, 'no_proxy')?.value ?? '';
  return (destination) => {
    const proxy = destination.protocol === 'https:' ? https : http;
    return proxy === undefined || isExempt(destination, exempt) ? undefined : proxy;
  };
}

function fromEnvironment(env: Environment, name: string): HttpProxy | undefined {
  const found = variableOf(env, name);
  if (found === undefined) return undefined;
  // `proxy.lan:3128` alone is understood by all programs that read this variable.
  return proxyOf(found.value.includes('://') ? found.value : `http://${found.value}`, found.variable);
}

/** An empty variable is one that is not set. */
function variableOf(env: Environment, name: string): { variable: string; value: string } | undefined {
  for (const variable of [name, name.toUpperCase()]) {
    const value = env[variable]?.trim();
    if (value) return { variable, value };
  }
  return undefined;
}

function proxyOf(text: string, source: string): HttpProxy {
  const proxy = parseProxy(text);
  if (proxy !== undefined) return proxy;
  throw new AgentError(
    'CONFIG_INVALID',
    `${source} must be an http:// URL of a proxy, with nothing behind its port; other characters than letters and digits of a password must be percent-encoded.`,
  );
}
