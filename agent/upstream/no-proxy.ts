import { isIP } from 'node:net';
import { isLoopback } from '../address.ts';

/** Where a connection is to go. */
export interface Destination {
  /** `https:` or `http:` */
  readonly protocol: string;
  /** An IPv6 address with or without brackets. */
  readonly hostname: string;
  /** Empty for the protocol's own. */
  readonly port: string;
}

/** Entries of the list that are looked at: beyond this it is nonsense. */
const MAX_ENTRIES = 1024;

/** The port that is meant, where the protocol's own is left out. */
export function portOf({ protocol, port }: Destination): number {
  return Number(port || (protocol === 'https:' ? 443 : 80));
}

/** The host's name as it is compared: in lower case, without brackets and without the dot of the root. */
export function hostOf({ hostname }: Pick<Destination, 'hostname'>): string {
  return hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/(.)\.$/, '$1');
}

/**
 * Whether a destination is reached without the proxy that the environment names, by the list in NO_PROXY: commas or
 * blanks between entries, each `*`, a host, a domain (`example.com` or `.example.com`: it and all below it), or
 * `*.example.com` (all below it); with `:port`, on that port only. Networks such as 10.0.0.0/8 are not understood. This
 * machine itself is never reached through a proxy, as with curl's and Go's kin.
 */
export function isExempt(destination: Destination, list: string): boolean {
  const host = hostOf(destination);
  if (isLoopback(host)) return true;
  const port = portOf(destination);
  return list.split(/[\s,]+/, MAX_ENTRIES).some((entry) => entry !== '' && matches(entry.toLowerCase(), host, port));
}

function matches(entry: string, host: string, port: number): boolean {
  const { name, only } = split(entry);
  if (only !== undefined && only !== port) return false;
  if (name === '*') return true;
  const domain = name.replace(/^\*?\./, '').replace(/(.)\.$/, '$1');
  if (host === domain) return !name.startsWith('*');
  return isIP(host) === 0 && domain !== '' && host.endsWith(`.${domain}`);
}

/** An address of IPv6 is full of colons: with a port it stands in brackets. */
function split(entry: string): { name: string; only: number | undefined } {
  const [, bracketed, bracketedPort] = /^\[([^\]]+)\](?::([0-9]+))?$/.exec(entry) ?? [];
  if (bracketed !== undefined) {
    return { name: bracketed, only: bracketedPort === undefined ? undefined : Number(bracketedPort) };
  }
  const [, name, port] = /^([^:]+):([0-9]+)$/.exec(entry) ?? [];
  return name === undefined ? { name: entry, only: undefined } : { name, only: Number(port) };
}
