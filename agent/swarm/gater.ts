import type { ConnectionGater } from '@libp2p/interface';
import { hostOf } from './address.ts';
import type { Reputation } from './reputation.ts';

export interface GaterComponents {
  readonly reputation: Pick<Reputation, 'isPeerBanned' | 'isAddressBanned'>;
  /** Whether connections from this IP address are taken at all. */
  readonly accepts: (host: string) => boolean;
  /** Told of each connection that `accepts` refused. */
  readonly onRefused: (host: string) => void;
}

/**
 * Keeps banned peers, and banned addresses, from connecting and from being dialled, whoever dials; and strangers from
 * elsewhere from connecting. Who comes in is judged by address before the handshake: it has cost a socket till then.
 */
export function createGater({ reputation, accepts, onRefused }: GaterComponents): ConnectionGater {
  return {
    denyDialPeer: (peer) => reputation.isPeerBanned(peer.toString()),
    denyDialMultiaddr: (address) => reputation.isAddressBanned(hostOf(address)),
    denyInboundConnection: (connection) => {
      const host = hostOf(connection.remoteAddr);
      if (accepts(host)) return reputation.isAddressBanned(host);
      onRefused(host);
      return true;
    },
    denyInboundEncryptedConnection: (peer) => reputation.isPeerBanned(peer.toString()),
    denyOutboundEncryptedConnection: (peer) => reputation.isPeerBanned(peer.toString()),
  };
}
