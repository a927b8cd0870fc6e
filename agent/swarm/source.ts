import { BlockList, isIP } from 'node:net';
import type { Logger } from 'pino';
import type { Metrics } from '../observe/metrics.ts';

/** Addresses that nobody has from the internet: RFC 1918, RFC 3927, RFC 4193, RFC 4291 (2.5.6), loopback. */
const NEAR = [
  ['10.0.0.0', 8, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['::1', 128, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
] as const;

const near = new BlockList();
for (const [network, prefix, family] of NEAR) near.addSubnet(network, prefix, family);

/**
 * Whether `host` is a private, link-local, unique local or loopback address. An IPv4 address in IPv6 clothes, as a
 * dual-stack socket tells it, is judged by what it is.
 */
export function isNear(host: string): boolean {
  const family = isIP(host);
  return family !== 0 && near.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** From where other agents may connect. */
export type Accept = 'private' | 'any';

export interface AcceptanceComponents {
  readonly logger: Pick<Logger, 'info'>;
  readonly metrics: Pick<Metrics, 'refusedConnections'>;
}

/** Judges the sources of connections. Refusals are counted; the log has the first only, since anybody may knock. */
export function createAcceptance({ logger, metrics }: AcceptanceComponents, accept: Accept) {
  let isTold = false;
  return {
    accepts: (host: string): boolean => accept === 'any' || isNear(host),
    onRefused(address: string): void {
      metrics.refusedConnections.inc();
      if (isTold) return;
      isTold = true;
      logger.info(
        { address },
        'connections from public addresses are refused; peers.accept says from where they may come',
      );
    },
  };
}
