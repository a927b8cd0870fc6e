import type { Connection, PeerId } from '@libp2p/interface';
import type { Logger } from 'pino';
import type { Gauge } from 'prom-client';
import type { Throttle } from '../limits/throttle.ts';
import { hostOf } from './address.ts';
import { type ChunkClient, createChunkClient } from './chunks/client.ts';
import { type ControlClient, createControlClient } from './control/client.ts';
import { KNOWN_PEERS } from './limits.ts';
import type { Node } from './node.ts';

/** Blobs remembered of one neighbour, for `layerlan peers`. */
const MAX_SEEN_BLOBS = 2_000;

/** A peer that is connected. */
export interface Neighbour {
  readonly id: string;
  /** IP address of the connection. */
  readonly address: string;
  readonly addresses: string[];
  readonly control: ControlClient;
  readonly chunks: ChunkClient;
  /** Blobs it was seen to hold since it connected. */
  readonly seen: Set<string>;
}

/** Who is connected. */
export interface Neighbours {
  readonly all: readonly Neighbour[];
  get(id: string): Neighbour | undefined;
  /** The IP address a peer was last seen at, connected or not. */
  addressOf(id: string): string | undefined;
  /** Notes that a neighbour holds a blob. */
  saw(id: string, digest: string): void;
  /** Closes every connection of a peer, and of all others at the address where one is given. */
  disconnect(id: string, address: string | undefined): void;
  stop(): void;
}

export interface NeighboursComponents {
  readonly node: Node;
  readonly logger: Logger;
  readonly gauge: Gauge;
  /** Holds back the chunks that are read. @default no limit */
  readonly download?: Throttle | undefined;
  /** A peer broke the protocol on a stream this agent opened to it. */
  onGarbage(peer: string): void;
  onConnect(): void;
}

export interface NeighboursInit {
  /** See SwarmInit. ms */
  readonly stallTimeout: number;
}

export function trackNeighbours(components: NeighboursComponents, init: NeighboursInit): Neighbours {
  const { node, logger, gauge } = components;
  const table = new Map<string, Neighbour>();
  const lastAddress = new Map<string, string>();

  const connectionTo = (peer: PeerId): Connection | undefined =>
    node.getConnections(peer).find(({ status }) => status === 'open');

  const connected = ({ detail: connection }: CustomEvent<Connection>): void => {
    const id = connection.remotePeer.toString();
    lastAddress.delete(id);
    lastAddress.set(id, hostOf(connection.remoteAddr));
    if (lastAddress.size > KNOWN_PEERS) forgetOldest(lastAddress, (old) => table.has(old));
    if (table.has(id)) return;
    table.set(id, createNeighbour(connection.remotePeer));
    gauge.set(table.size);
    logger.info({ peer: id, address: connection.remoteAddr.toString() }, 'peer connected');
    components.onConnect();
  };
  const disconnected = ({ detail: peer }: CustomEvent<PeerId>): void => {
    const id = peer.toString();
    const neighbour = table.get(id);
    if (neighbour === undefined) return;
    table.delete(id);
    gauge.set(table.size);
    neighbour.control.close();
    neighbour.chunks.close();
    logger.debug({ peer: id }, 'peer disconnected');
  };

  const createNeighbour = (peer: PeerId): Neighbour => {
    const id = peer.toString();
    const connection = () => connectionTo(peer);
    const { stallTimeout } = init;
    return {
      id,
      get address() {
        return lastAddress.get(id) ?? '';
      },
      get addresses() {
        return node.getConnections(peer).map(({ remoteAddr }) => remoteAddr.toString());
      },
      control: createControlClient(
        { connection, onGarbage: () => components.onGarbage(id) },
        { openTimeout: stallTimeout, frameTimeout: 4 * stallTimeout },
      ),
      chunks: createChunkClient(
        { connection, download: components.download, onGarbage: () => components.onGarbage(id) },
        { stallTimeout },
      ),
      seen: new Set(),
    };
  };

  node.addEventListener('connection:open', connected);
  node.addEventListener('peer:disconnect', disconnected);

  return {
    get all() {
      return [...table.values()];
    },
    get: (id) => table.get(id),
    addressOf: (id) => lastAddress.get(id),
    saw(id, digest) {
      const seen = table.get(id)?.seen;
      if (seen !== undefined && seen.size < MAX_SEEN_BLOBS) seen.add(digest);
    },
    disconnect(id, address) {
      for (const connection of node.getConnections()) {
        const isTheirs = connection.remotePeer.toString() === id;
        if (isTheirs || (address !== undefined && hostOf(connection.remoteAddr) === address)) {
          connection.abort(new Error('banned'));
        }
      }
    },
    stop() {
      node.removeEventListener('connection:open', connected);
      node.removeEventListener('peer:disconnect', disconnected);
      for (const { control, chunks } of table.values()) {
        control.close();
        chunks.close();
      }
      table.clear();
      gauge.set(0);
    },
  };
}

function forgetOldest(table: Map<string, unknown>, isKept: (key: string) => boolean): void {
  for (const key of table.keys()) {
    if (isKept(key)) continue;
    table.delete(key);
    return;
  }
}
