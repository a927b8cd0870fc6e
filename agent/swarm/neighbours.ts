import type { Connection, PeerId } from '@libp2p/interface';
import type { Logger } from 'pino';
import type { Gauge } from 'prom-client';
import type { Throttle } from '../limits/throttle.ts';
import { hostOf } from './address.ts';
import type { LaneAsker } from './bulk/asker.ts';
import type { Bulk } from './bulk/bulk.ts';
import { type ChunkClient, createChunkClient } from './chunks/client.ts';
import { type ControlClient, createControlClient } from './control/client.ts';
import { createTeller, type Teller } from './fleet/teller.ts';
import { type Announcer, startAnnouncer } from './inventory/announcer.ts';
import type { Roster } from './inventory/roster.ts';
import { KNOWN_PEERS } from './limits.ts';
import type { Node } from './node.ts';

/** How much more patience an announcer has than an asker: nobody waits for it, and chunks may be queued before it. */
const ANNOUNCER_PATIENCE = 3;

/** A peer that is connected. */
export interface Neighbour {
  readonly id: string;
  /** IP address of the connection. */
  readonly address: string;
  readonly addresses: string[];
  readonly control: ControlClient;
  readonly chunks: ChunkClient;
  /** The lane by which the bodies of its chunks come; undefined where there are to be none. */
  readonly lane: LaneAsker | undefined;
  /** Tells it what this agent holds. */
  readonly announcer: Announcer;
  /** Tells it of the blobs that are taken together. */
  readonly teller: Teller;
}

/** Who is connected. */
export interface Neighbours {
  readonly all: readonly Neighbour[];
  get(id: string): Neighbour | undefined;
  /** The IP address a peer was last seen at, connected or not. */
  addressOf(id: string): string | undefined;
  /** Closes every connection of a peer, and of all others at the address where one is given. */
  disconnect(id: string, address: string | undefined): void;
  stop(): void;
}

export interface NeighboursComponents {
  readonly node: Node;
  readonly logger: Logger;
  readonly gauge: Gauge;
  readonly roster: Roster;
  /** Holds back the chunks that are read. @default no limit */
  readonly download?: Throttle | undefined;
  /** Lanes for the bodies of chunks. @default none */
  readonly bulk?: Bulk | undefined;
  /** A peer broke the protocol on a stream this agent opened to it. */
  onGarbage(peer: string): void;
  /** A peer has connected, with its first connection. */
  onConnect(neighbour: Neighbour): void;
  /** Its last connection is gone, or is being closed for a ban: then perhaps a second time. */
  onDisconnect(id: string): void;
  /** Monotonic, ms. */
  now(): number;
}

export interface NeighboursInit {
  /** See SwarmInit. ms */
  readonly stallTimeout: number;
}

export function trackNeighbours(components: NeighboursComponents, init: NeighboursInit): Neighbours {
  const { node, logger, gauge, roster } = components;
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
    const neighbour = createNeighbour(connection.remotePeer);
    table.set(id, neighbour);
    gauge.set(table.size);
    logger.info({ peer: id, address: connection.remoteAddr.toString() }, 'peer connected');
    components.onConnect(neighbour);
  };
  const disconnected = ({ detail: peer }: CustomEvent<PeerId>): void => {
    const id = peer.toString();
    const neighbour = table.get(id);
    if (neighbour === undefined) return;
    table.delete(id);
    gauge.set(table.size);
    close(neighbour);
    logger.debug({ peer: id }, 'peer disconnected');
    components.onDisconnect(id);
  };

  const close = ({ id, announcer, teller, control, chunks, lane }: Neighbour): void => {
    lane?.close();
    components.bulk?.holders.left(id);
    announcer.stop();
    teller.stop();
    control.close();
    chunks.close();
  };

  const createNeighbour = (peer: PeerId): Neighbour => {
    const id = peer.toString();
    const connection = () => connectionTo(peer);
    const { stallTimeout } = init;
    const control = createControlClient(
      { connection, onGarbage: () => components.onGarbage(id) },
      { openTimeout: stallTimeout, frameTimeout: 4 * stallTimeout },
    );
    const onGarbage = () => components.onGarbage(id);
    const lane = components.bulk?.asker(connection, onGarbage);
    return {
      id,
      lane,
      get address() {
        return lastAddress.get(id) ?? '';
      },
      get addresses() {
        return node.getConnections(peer).map(({ remoteAddr }) => remoteAddr.toString());
      },
      control,
      chunks: createChunkClient({ connection, download: components.download, lane, onGarbage }, { stallTimeout }),
      announcer: startAnnouncer(
        { peer: id, control, roster, logger },
        { stallTimeout: ANNOUNCER_PATIENCE * stallTimeout },
      ),
      teller: createTeller({ control, now: components.now }),
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
    disconnect(id, address) {
      // At once: their connections' ends may be told of a while later.
      for (const known of table.keys()) {
        if (known === id || (address !== undefined && lastAddress.get(known) === address)) {
          components.onDisconnect(known);
        }
      }
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
      for (const neighbour of table.values()) close(neighbour);
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
