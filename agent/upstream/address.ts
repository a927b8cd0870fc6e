import { type LookupAddress, lookup as resolve } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { isLoopback } from '../address.ts';
import { AgentError } from '../errors.ts';

/** IPv4 networks that are not the public internet (IANA special-purpose registry). */
const PRIVATE_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;

/** The same for IPv6, with the tunnels (6to4, Teredo) that could lead back to a private IPv4 address. */
const PRIVATE_IPV6 = [
  ['::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const;

const PRIVATE = privateNetworks();

function privateNetworks(): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of PRIVATE_IPV4) {
    // The list checks IPv4-mapped IPv6 addresses (::ffff:10.0.0.1) by these too.
    list.addSubnet(network, prefix, 'ipv4');
    // NAT64: an IPv6-only host reaches IPv4 through this prefix, public and private alike.
    list.addSubnet(`64:ff9b::${network}`, 96 + prefix, 'ipv6');
  }
  for (const [network, prefix] of PRIVATE_IPV6) list.addSubnet(network, prefix, 'ipv6');
  return list;
}

/** Whether an IP address is loopback, link-local, private, multicast or reserved. A zone (`%eth0`) is allowed. */
export function isPrivateAddress(address: string): boolean {
  const [bare = ''] = address.split('%');
  const family = isIP(bare);
  return family === 0 || PRIVATE.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether a host is private as it is written: a name but localhost is not, whatever it resolves to. */
export function isPrivateHost(hostname: string): boolean {
  return isLoopback(hostname) || (isIP(hostname) !== 0 && isPrivateAddress(hostname));
}

/**
 * Why a host that the operator did not write may not be connected to: it is itself a private address. Names are
 * checked once they are resolved, by {@link publicLookup}; where a proxy resolves them, all that can be refused is what
 * is private as it is written.
 */
export function refusedHost(hostname: string, isResolvedHere = true): AgentError | undefined {
  const isName = isIP(hostname) === 0;
  return isPrivateHost(hostname) && !(isName && isResolvedHere) ? refusal(hostname) : undefined;
}

/**
 * `dns.lookup` that gives public addresses only. It runs at each connect, so that a name that resolves differently the
 * second time (DNS rebinding) gains nothing.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error !== null) return callback(error, '');
    const allowed = addresses.filter(({ address }) => !isPrivateAddress(address));
    const [first] = allowed;
    if (first === undefined) return callback(refusal(hostname), '');
    if (options.all === true) return callback(null, allowed);
    callback(null, first.address, first.family);
  });
};

function refusal(hostname: string): AgentError {
  return new AgentError(
    'ADDRESS_PRIVATE',
    `${hostname} is at a private address; to allow that, write the registry under registries in the configuration`,
  );
}
