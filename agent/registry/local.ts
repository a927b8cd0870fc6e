/**
 * Whether a connection comes from this machine: from its loopback, or from the very address that was connected to. A
 * container with a network of its own, and another host, do not.
 */
export function isLocalCaller(remoteAddress: string | undefined, localAddress: string | undefined): boolean {
  const remote = plain(remoteAddress);
  if (remote === undefined) return false;
  return remote === '::1' || /^127\.[0-9.]+$/.test(remote) || remote === plain(localAddress);
}

/** An IPv4 address on a dual-stack socket shows as ::ffff:192.0.2.1. */
function plain(address: string | undefined): string | undefined {
  return address?.toLowerCase().replace(/^::ffff:(?=[0-9.]+$)/, '');
}
