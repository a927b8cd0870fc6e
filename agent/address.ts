import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

/** Where a socket listens or is reached. */
export interface Address {
  /** Host name or IP address; an IPv6 address without its brackets. */
  readonly host: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
}

const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)):([0-9]{1,5})$/;
const MAX_PORT = 65_535;

/** `host:port`, or `[ipv6]:port`; undefined where `text` is not exactly one of them. */
export function parseAddress(text: string): Address | undefined {
  const [whole, ipv6, name, digits] = HOST_PORT.exec(text) ?? [];
  const port = Number(digits);
  // `$` also matches before a final newline, hence the comparison.
  if (whole !== text || port > MAX_PORT) return undefined;
  if (ipv6 !== undefined) return isIPv6(ipv6) ? { host: ipv6, port } : undefined;
  if (name === undefined) return undefined;
  // 127.0.0.256 is no host name that anybody means.
  if (/^[0-9.]+$/.test(name) && !isIPv4(name)) return undefined;
  return { host: name, port };
}

/** The form {@link parseAddress} reads. */
export function addressText(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * Whether a host is this machine by its very address, or name (RFC 6761 §6.3). Of other names nobody knows before they
 * are resolved: 127.example.org leads anywhere.
 */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return /^(?:.*\.)?localhost$/i.test(host);
  return LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** Those of `addresses` (`host:port`, as bound) at which others than this machine may connect. */
export function beyondLoopback(addresses: readonly string[]): string[] {
  return addresses.filter((address) => !isLoopback(parseAddress(address)?.host ?? ''));
}

/** Where a client on this machine reaches what listens at `address`: a wildcard is not a destination. */
export function reachable(address: Address): Address {
  if (address.host === '0.0.0.0') return { ...address, host: '127.0.0.1' };
  if (address.host === '::') return { ...address, host: '::1' };
  return address;
}

/**
 * Of the addresses that an agent listens on, where it is reached from its own machine: on loopback where it listens
 * there. Other addresses are for clients in containers, and a bridge may come later than the agent does.
 * @param listen at least one, each as {@link parseAddress} reads it
 */
export function homeAddress(listen: readonly string[]): Address {
  const [first, ...others] = listen.map((text) => reachable(parseAddress(text)!));
  return [first!, ...others].find(({ host }) => isLoopback(host)) ?? first!;
}
