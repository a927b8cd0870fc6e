import { networkInterfaces } from 'node:os';
import type { Multiaddr } from '@multiformats/multiaddr';
import { isLoopback } from '../address.ts';

/** The IP address (or DNS name) a multiaddr begins with; '' where it begins with neither. */
export function hostOf(address: Multiaddr): string {
  const first = address.getComponents()[0];
  return first?.value !== undefined && /^(ip[46]|dns[46]?)$/.test(first.name) ? first.value : '';
}

/** The peer id in a multiaddr, where it names one. */
export function peerIdOf(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((component) => component.name === 'p2p')?.value;
}

/**
 * The one loopback address to dial from, where `listen` names nothing else. Linux dials every 127.0.0.0/8 address from
 * 127.0.0.1; then all agents of a test machine would look like one address, and a ban of one would shut out all.
 */
export function loopbackSource(listen: readonly Multiaddr[]): string | undefined {
  const hosts = new Set(listen.map(hostOf));
  const [only] = hosts;
  return hosts.size === 1 && only?.startsWith('127.') ? only : undefined;
}

/** Interfaces of bridges that containers sit behind: their addresses are the same on every host. */
const VIRTUAL_INTERFACE = /^(docker|br-|veth|virbr|cni|flannel|cali|podman|lxc|lxdbr|nerdctl|tunl|kube)/;

/** Addresses that lead other hosts nowhere, or back to themselves. Read anew each time: interfaces come and go. */
function virtualAddresses(): Set<string> {
  const found = new Set<string>();
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (VIRTUAL_INTERFACE.test(name)) for (const { address } of addresses ?? []) found.add(address);
  }
  return found;
}

/**
 * Which of our own addresses to tell others: no loopback (unless there is nothing else) and no virtual bridge. libp2p
 * would otherwise announce every private address, and neighbours would dial their own docker0.
 */
export function announced(addresses: Multiaddr[], virtual: ReadonlySet<string> = virtualAddresses()): Multiaddr[] {
  const outward = addresses.filter((address) => {
    const host = hostOf(address);
    return !isLoopback(host) && !virtual.has(host);
  });
  return outward.length > 0 ? outward : addresses.filter((address) => isLoopback(hostOf(address)));
}
