import type { Mdns, MdnsStatus } from './mdns.ts';
import type { Neighbours } from './neighbours.ts';
import type { Node } from './node.ts';

/** How the swarm fares, for `layerlan status`. */
export interface SwarmStatus {
  readonly peerId: string;
  readonly addresses: string[];
  readonly neighbours: number;
  readonly mdns: MdnsStatus;
  /** Whether a network key keeps strangers out. */
  readonly networkKey: boolean;
}

export interface StatusSources {
  readonly node: Node;
  readonly neighbours: Neighbours;
  readonly mdns: Mdns | undefined;
  readonly hasNetworkKey: boolean;
}

export function swarmStatus({ node, neighbours, mdns, hasNetworkKey }: StatusSources): SwarmStatus {
  return {
    peerId: node.peerId.toString(),
    addresses: node.getMultiaddrs().map(String),
    neighbours: neighbours.all.length,
    mdns: mdns?.status ?? { enabled: false },
    networkKey: hasNetworkKey,
  };
}
