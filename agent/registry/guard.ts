import { isIPv4 } from 'node:net';

/** What of a request tells a registry client from a web page. */
export interface Caller {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site */
  readonly fetchSite: string | undefined;
  /** The address of this machine that the connection came in on. */
  readonly localAddress: string | undefined;
}

/**
 * Why a request is refused, or undefined where it is welcome.
 *
 * The mirror asks nobody who they are, so a web page open in a browser on this machine must not be able to talk to it:
 * neither straight (an Origin, or a fetch from another site) nor under a name of its own that it points at this machine
 * (DNS rebinding: then Host is that name). Registry clients send neither Origin nor Sec-Fetch-Site, and call the agent
 * by an address, by localhost, or by a name that `allowedHosts` holds.
 */
export function refusal(caller: Caller, allowedHosts: ReadonlySet<string>): string | undefined {
  if (caller.origin !== undefined) return 'Requests from web pages are refused.';
  if (caller.fetchSite !== undefined && caller.fetchSite !== 'none' && caller.fetchSite !== 'same-origin') {
    return 'Requests from web pages are refused.';
  }
  // Only HTTP/1.0 may leave it out (node refuses the rest), and no browser does.
  if (caller.host === undefined) return undefined;
  const host = hostWithoutPort(caller.host);
  if (host !== undefined && isOwn(host, caller.localAddress, allowedHosts)) return undefined;
  return 'The Host header does not name this agent.';
}

function isOwn(host: string, localAddress: string | undefined, allowedHosts: ReadonlySet<string>): boolean {
  if (host === 'localhost' || host === '::1' || allowedHosts.has(host)) return true;
  if (isIPv4(host) && host.startsWith('127.')) return true;
  // An IPv4 client of a dual-stack socket shows as ::ffff:192.0.2.1.
  return localAddress !== undefined && host === localAddress.replace(/^::ffff:(?=[0-9.]+$)/i, '').toLowerCase();
}

function hostWithoutPort(header: string): string | undefined {
  const [whole, ipv6, name] = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+))(?::[0-9]{1,5})?$/i.exec(header) ?? [];
  return whole === header ? (ipv6 ?? name)?.toLowerCase() : undefined;
}
