import type { ConnectionGater } from '@libp2p/interface';
import { hostOf } from './address.ts';
import type { Reputation } from './reputation.ts';

/** Keeps banned peers, and banned addresses, from connecting and from being dialled, whoever dials. */
export function createGater(reputation: Reputation): ConnectionGater {
  return {
    denyDialPeer: (peer) => reputation.isPeerBanned(peer.toString()),
    denyDialMultiaddr: (address) => reputation.isAddressBanned(hostOf(address)),
    denyInboundConnection: (connection) => reputation.isAddressBanned(hostOf(connection.remoteAddr)),
    denyInboundEncryptedConnection: (peer) => reputation.isPeerBanned(peer.toString()),
    denyOutboundEncryptedConnection: (peer) => reputation.isPeerBanned(peer.toString()),
  };
}
