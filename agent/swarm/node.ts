import { noise } from '@chainsafe/libp2p-noise';
import { type Identify, identify } from '@libp2p/identify';
import type { ConnectionGater, Libp2p, PeerInfo, PrivateKey } from '@libp2p/interface';
import { type KadDHT, type KadDHTComponents, kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { type Ping, ping } from '@libp2p/ping';
import { type TCPComponents, tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Datastore } from 'interface-datastore';
import { createLibp2p, type Libp2pOptions } from 'libp2p';
import { KAD_PROTOCOL } from '../../protocol/names.ts';
import { isLoopback } from '../address.ts';
import { AgentError } from '../errors.ts';
import { announced, hostOf, loopbackSource } from './address.ts';
import { corked } from './corked.ts';
import { withFewWindowUpdates } from './window-updates.ts';

const HOUR = 3_600_000;

/** How long a provider record is good for; the advertiser renews it before. ms. */
export const PROVIDER_VALIDITY = 6 * HOUR;

/** How often expired records of others are removed. ms. */
const RECORD_SWEEP = 600_000;

/**
 * The most yamux lets a peer send ahead of us on one stream. On a LAN (1 ms) a MiB is good for 1 GB/s, and it bounds
 * what a stream we do not read can hold. Must stay below {@link MAX_UNREAD}: libp2p resets a paused stream beyond that.
 */
const STREAM_WINDOW = 1024 * 1024;
const MAX_UNREAD = 4 * STREAM_WINDOW;

/** Peers dial all their neighbours at once when a rack powers up; libp2p's own limits are 5 a second and 10 pending. */
const INBOUND_CONNECTIONS_PER_SECOND = 100;
const PENDING_INBOUND = 256;
const MAX_CONNECTIONS = 1_000;

export type Services = { identify: Identify; ping: Ping; dht?: KadDHT };
export type Node = Libp2p<Services>;
export type Discovery = NonNullable<Libp2pOptions['peerDiscovery']>[number];

export interface NodeInit {
  readonly privateKey: PrivateKey;
  readonly listen: readonly string[];
  /** Both sides of a connection must have the same (key.ts). */
  readonly prologue: Uint8Array;
  readonly gater: ConnectionGater;
  readonly datastore: Datastore;
  readonly dht: boolean;
  readonly discovery: readonly Discovery[];
}

/**
 * The libp2p node, not started: TCP, Noise, yamux, identify, ping and the agents' own DHT.
 * @throws AgentError CONFIG_INVALID where an address to listen on is no multiaddr
 */
export async function createNode(init: NodeInit): Promise<Node> {
  const listen = init.listen.map((text) => parseMultiaddr(text));
  // The type of an optional service is more than libp2p's inference gives.
  const dht = { dht: createDht() };
  return createLibp2p<Services>({
    start: false,
    privateKey: init.privateKey,
    datastore: init.datastore,
    addresses: { listen: [...init.listen], announceFilter: (addresses) => announced(addresses) },
    transports: [tcpFrom(loopbackSource(listen))],
    connectionEncrypters: [noise({ prologueBytes: init.prologue })],
    streamMuxers: [
      withFewWindowUpdates(
        yamux({ streamOptions: { maxStreamWindowSize: STREAM_WINDOW, maxReadBufferLength: MAX_UNREAD } }),
      ),
    ],
    connectionGater: init.gater,
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      inboundConnectionThreshold: INBOUND_CONNECTIONS_PER_SECOND,
      maxIncomingPendingConnections: PENDING_INBOUND,
      // neighbours.ts dials, with a back-off of its own.
      reconnectRetries: 0,
    },
    // It opens a stream to each peer every ten seconds for a ping, and ends a transfer where one is lost: the stall watches
    // know better, and yamux keeps the connection alive.
    connectionMonitor: { enabled: false },
    // The DHT answers with an error for a key one of whose providers has left the peer store.
    peerStore: { maxAddressAge: 2 * PROVIDER_VALIDITY, maxPeerAge: 4 * PROVIDER_VALIDITY },
    peerDiscovery: [...init.discovery],
    services: { identify: identify(), ping: ping(), ...(init.dht ? dht : {}) },
  });
}

function createDht() {
  const create = kadDHT({
    protocol: KAD_PROTOCOL,
    clientMode: false,
    // The default drops private addresses: on a LAN, all of them.
    peerInfoMapper: passthroughMapper,
    // Without it a lone node's provide and find hang.
    allowQueryWithZeroPeers: true,
    initialQuerySelfInterval: 1_000,
    // The advertiser renews our own records in its own time: a threshold of 0 leaves kad only the sweep.
    reprovide: { validity: PROVIDER_VALIDITY, threshold: 0, interval: RECORD_SWEEP, concurrency: 1 },
  });
  return (components: KadDHTComponents) => {
    // An event target, which its type does not say.
    const dht = create(components) as KadDHT & EventTarget;
    const dispatch = dht.dispatchEvent.bind(dht);
    // Each answer to a walk names twenty peers, whose addresses libp2p writes down: those of the connected are known.
    dht.dispatchEvent = (event) => {
      const peer = event.type === 'peer' ? (event as CustomEvent<PeerInfo>).detail.id : undefined;
      const isConnected = peer !== undefined && components.connectionManager.getConnections(peer).length > 0;
      return isConnected || dispatch(event);
    };
    return dht;
  };
}

/** TCP that sends in one piece what is sent at once, and that dials loopback from `source`, where there is one. */
function tcpFrom(source: string | undefined) {
  const create = tcp();
  return (components: TCPComponents) => {
    const transport = create(components);
    const dial = transport.dial.bind(transport);
    transport.dial = (address, options) => {
      const from = source !== undefined && isLoopback(hostOf(address)) ? { localAddress: source } : {};
      return dial(address, Object.assign({}, options, from, { upgrader: corked(options.upgrader) }));
    };
    const createListener = transport.createListener.bind(transport);
    transport.createListener = (options) =>
      createListener(Object.assign({}, options, { upgrader: corked(options.upgrader) }));
    return transport;
  };
}

/**
 * Starts the node's listeners and services.
 * @throws AgentError ADDRESS_IN_USE, ADDRESS_UNUSABLE
 */
export async function startNode(node: Node, listen: readonly string[]): Promise<void> {
  try {
    await node.start();
  } catch (error) {
    await Promise.resolve(node.stop()).catch(() => {});
    const message = error instanceof Error ? error.message : String(error);
    const code = message.includes('EADDRINUSE') ? 'ADDRESS_IN_USE' : 'ADDRESS_UNUSABLE';
    const reason = /\bE[A-Z]{4,}\b/.exec(message)?.[0] ?? message.split('\n')[0];
    throw new AgentError(code, `cannot listen for peers on ${listen.join(', ')}: ${reason}`, { cause: error });
  }
}

/** @throws AgentError CONFIG_INVALID */
export function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (error) {
    throw new AgentError('CONFIG_INVALID', `not a multiaddr: ${text}`, { cause: error });
  }
}
