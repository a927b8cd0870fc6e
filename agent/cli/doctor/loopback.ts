import { isIPv4 } from 'node:net';

/** Whether a host is reached from this machine, or container, alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
