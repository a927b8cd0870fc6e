import type { Bulk } from './bulk/bulk.ts';
import type { Mdns, MdnsStatus } from './mdns.ts';
import type { Neighbours } from './neighbours.ts';
import type { Node } from './node.ts';

/** How the swarm fares, for `layerlan status`. */
export interface SwarmStatus {
  readonly peerId: string;
  readonly addresses: string[];
  readonly neighbours: number;
  readonly mdns: MdnsStatus;
  readonly bulk: BulkStatus;
  /** Whether a network key keeps strangers out. */
  readonly networkKey: boolean;
}

/** Whether peers can open bulk lanes to this agent. */
export interface BulkStatus {
  readonly enabled: boolean;
  /** Why they cannot. */
  readonly reason?: string;
}

export interface StatusSources {
  readonly node: Node;
  readonly neighbours: Neighbours;
  readonly mdns: Mdns | undefined;
  readonly bulk: Bulk | undefined;
  readonly hasNetworkKey: boolean;
}

export function swarmStatus({ node, neighbours, mdns, bulk, hasNetworkKey }: StatusSources): SwarmStatus {
  return {
    peerId: node.peerId.toString(),
    addresses: node.getMultiaddrs().map(String),
    neighbours: neighbours.all.length,
    mdns: mdns?.status ?? { enabled: false },
    bulk: { enabled: bulk !== undefined, ...(bulk?.trouble !== undefined && { reason: bulk.trouble }) },
    networkKey: hasNetworkKey,
  };
}
