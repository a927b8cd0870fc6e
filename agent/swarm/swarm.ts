import type { Connection, Stream, StreamHandlerOptions } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { CHUNKS_PROTOCOL, CONTROL_PROTOCOL } from '../../protocol/names.ts';
import { isAgentError } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import { hostOf } from './address.ts';
import { type Advertiser, startAdvertiser } from './advertiser.ts';
import { createAdmission } from './chunks/admission.ts';
import { serveChunks } from './chunks/server.ts';
import { serveControl } from './control/server.ts';
import { openDatastore, type SwarmDatastore } from './datastore.ts';
import { forgetOwnRecords } from './dht.ts';
import { type Dialler, startDialler } from './dialler.ts';
import { createGater } from './gater.ts';
import type { Holder } from './holder.ts';
import { loadIdentity } from './identity.ts';
import { type SwarmInit, type SwarmSettings, settingsOf } from './init.ts';
import { mdnsService, noisePrologue } from './key.ts';
import { INBOUND_CHUNK_STREAMS, INBOUND_CONTROL_STREAMS, QUEUED_CHUNKS, QUEUED_CHUNKS_PER_ADDRESS } from './limits.ts';
import { lookup } from './lookup.ts';
import { createMdns, type Mdns, type MdnsStatus } from './mdns.ts';
import { createMissingRecord } from './missing.ts';
import { type Neighbours, trackNeighbours } from './neighbours.ts';
import { createNode, type Node, startNode } from './node.ts';
import { type PeerStatus, peerStatuses } from './peers.ts';
import type { Holdings, Offence } from './ports.ts';
import { createReputation, type Reputation } from './reputation.ts';

/** How much more patience a sender has than an asker, who has gone elsewhere long before. */
const SENDER_PATIENCE = 3;

/** How long the node may take to close its connections. ms. */
const STOP_TIMEOUT = 5_000;

/** The agent's place among its peers: the Swarm port of agent/fetch/ports.ts, and what the agent says of it. */
export interface LanSwarm {
  readonly hasNeighbours: boolean;
  readonly isTrusted: boolean;
  holders(digest: Digest, signal: AbortSignal): AsyncIterable<Holder>;
  strike(peer: string, offence: Offence): void;
  isBanned(peer: string): boolean;
  readonly peerId: string;
  /** Multiaddrs peers can dial, with the peer id. */
  readonly addresses: string[];
  peers(): PeerStatus[];
  status(): SwarmStatus;
  status(): SwarmStatus;
  /** Bans and strikes, to be kept where bans should outlive the process. */
  readonly reputation: Pick<Reputation, 'snapshot' | 'restore'>;
  /** Ends every stream and connection. */
  stop(): Promise<void>;
}

/** How the swarm fares, for `layerlan status`. */
export interface SwarmStatus {
  readonly peerId: string;
  readonly addresses: string[];
  readonly neighbours: number;
  readonly mdns: MdnsStatus;
  /** Whether a network key keeps strangers out. */
  readonly networkKey: boolean;
}

export interface SwarmComponents {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'servedBytes' | 'strikes' | 'neighbours'>;
  readonly holdings: Holdings;
  /** Wall clock in ms, for bans. @default Date.now */
  readonly now?: () => number;
}

/**
 * Joins the LAN: loads or makes the identity, listens, serves what `holdings` has and dials peers.
 * @throws AgentError STORE_UNWRITABLE, CONFIG_INVALID, ADDRESS_IN_USE, ADDRESS_UNUSABLE
 */
export async function createSwarm(components: SwarmComponents, init: SwarmInit): Promise<LanSwarm> {
  const settings = settingsOf(init);
  const privateKey = await loadIdentity(settings.identityPath);
  const reputation = createReputation(components.now ?? Date.now);
  const datastore = openDatastore(settings.datastorePath);
  // Discovery is part of the node, and what it finds goes to the swarm around the node.
  let swarm: Libp2pSwarm | undefined;
  const mdns = settings.mdns
    ? createMdns(
        {
          logger: components.logger,
          neighbours: () => swarm?.neighbourCount ?? 0,
          onPeer: ({ id, multiaddrs }) => swarm?.discovered(id.toString(), multiaddrs),
        },
        { service: mdnsService(settings.networkKey) },
      )
    : undefined;
  const node = await createNode({
    privateKey,
    listen: settings.listen,
    prologue: noisePrologue(settings.networkKey),
    gater: createGater(reputation),
    datastore,
    dht: settings.dht,
    discovery: mdns === undefined ? [] : [mdns.discovery],
  }).catch((error: unknown) => {
    datastore.close();
    throw error;
  });
  swarm = new Libp2pSwarm(components, settings, { node, datastore, reputation, mdns });
  await swarm.start();
  return swarm;
}

interface Parts {
  readonly node: Node;
  readonly datastore: SwarmDatastore;
  readonly reputation: Reputation;
  readonly mdns: Mdns | undefined;
}

class Libp2pSwarm implements LanSwarm {
  readonly reputation: Reputation;
  readonly #components: SwarmComponents;
  readonly #settings: SwarmSettings;
  readonly #node: Node;
  readonly #datastore: SwarmDatastore;
  readonly #neighbours: Neighbours;
  readonly #missing = createMissingRecord(() => performance.now());
  readonly #admission = createAdmission({ perAddress: QUEUED_CHUNKS_PER_ADDRESS, overall: QUEUED_CHUNKS });
  readonly #stop = new AbortController();
  readonly #mdns: Mdns | undefined;
  #dialler: Dialler | undefined;
  #advertiser: Advertiser | undefined;

  constructor(components: SwarmComponents, settings: SwarmSettings, parts: Parts) {
    const { node } = parts;
    this.#components = components;
    this.#settings = settings;
    this.#node = node;
    this.#datastore = parts.datastore;
    this.#mdns = parts.mdns;
    this.reputation = parts.reputation;
    this.#neighbours = trackNeighbours(
      {
        node,
        logger: components.logger,
        gauge: components.metrics.neighbours,
        onGarbage: (peer) => this.strike(peer, 'garbage'),
        onConnect: () => this.#advertiser?.wake(),
      },
      { stallTimeout: settings.stallTimeout },
    );
  }

  async start(): Promise<void> {
    const { staticPeers, redialMin, redialMax, stallTimeout, listen, dht } = this.#settings;
    try {
      await this.#serve(CONTROL_PROTOCOL, INBOUND_CONTROL_STREAMS, (stream) => this.#serveControl(stream));
      await this.#serve(CHUNKS_PROTOCOL, INBOUND_CHUNK_STREAMS, (stream, connection) =>
        this.#serveChunks(stream, connection),
      );
      await forgetOwnRecords(this.#datastore, this.peerId);
      await startNode(this.#node, listen);
      this.#dialler = startDialler(
        {
          node: this.#node,
          logger: this.#components.logger,
          now: () => performance.now(),
          isConnected: (peer) => this.#neighbours.get(peer) !== undefined,
          isBanned: (peer) => this.isBanned(peer),
        },
        { staticPeers, redialMin, redialMax, dialTimeout: 2 * stallTimeout },
      );
      this.#mdns?.start();
      if (dht) this.#startAdvertiser();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  get peerId(): string {
    return this.#node.peerId.toString();
  }

  get addresses(): string[] {
    return this.#node.getMultiaddrs().map(String);
  }

  get hasNeighbours(): boolean {
    return this.#neighbours.all.length > 0;
  }

  get isTrusted(): boolean {
    return this.#settings.networkKey !== undefined;
  }

  holders(digest: Digest, signal: AbortSignal): AsyncIterable<Holder> {
    const { dht, answerTimeout, stallTimeout } = this.#settings;
    return lookup(
      digest,
      AbortSignal.any([signal, this.#stop.signal]),
      {
        node: this.#node,
        neighbours: this.#neighbours,
        missing: this.#missing,
        isBanned: (peer) => this.isBanned(peer),
        onGarbage: (peer) => this.strike(peer, 'garbage'),
      },
      { dht, answerTimeout, mapTimeout: 2 * stallTimeout },
    );
  }

  strike(peer: string, offence: Offence): void {
    const { logger, metrics } = this.#components;
    const wasBanned = this.reputation.isPeerBanned(peer);
    const address = this.#neighbours.addressOf(peer);
    metrics.strikes.inc({ offence });
    const isBanned = this.reputation.strike(peer, address, offence);
    logger.debug({ peer, address, offence }, 'strike');
    if (!isBanned) return;
    if (!wasBanned) logger.warn({ peer, address, offence }, 'peer banned');
    this.#neighbours.disconnect(peer, offence === 'lied' ? address : undefined);
  }

  isBanned(peer: string): boolean {
    const address = this.#neighbours.addressOf(peer);
    return this.reputation.isPeerBanned(peer) || (address !== undefined && this.reputation.isAddressBanned(address));
  }

  peers(): PeerStatus[] {
    return peerStatuses({
      neighbours: this.#neighbours.all,
      targets: this.#dialler?.targets ?? [],
      banned: this.reputation.banned(),
      strikes: (peer) => this.reputation.strikes(peer),
    });
  }

  status(): SwarmStatus {
    return {
      peerId: this.peerId,
      addresses: this.addresses,
      neighbours: this.neighbourCount,
      mdns: this.#mdns?.status ?? { enabled: false },
      networkKey: this.isTrusted,
    };
  }

  get neighbourCount(): number {
    return this.#neighbours.all.length;
  }

  discovered(id: string, addresses: Multiaddr[]): void {
    this.#dialler?.discovered(id, addresses);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
    this.#mdns?.stop();
    this.#advertiser?.stop();
    this.#dialler?.stop();
    this.#neighbours.stop();
    // A peer that does not answer the goodbye is not waited for.
    for (const connection of this.#node.getConnections()) {
      connection
        .close({ signal: AbortSignal.timeout(STOP_TIMEOUT / 5) })
        .catch(() => connection.abort(new Error('stop')));
    }
    await Promise.race([Promise.resolve(this.#node.stop()).catch(() => {}), deadline(STOP_TIMEOUT)]);
    this.#datastore.close();
  }

  #startAdvertiser(): void {
    this.#advertiser = startAdvertiser({
      node: this.#node,
      holdings: this.#components.holdings,
      logger: this.#components.logger,
      hasNeighbours: () => this.hasNeighbours,
    });
  }

  async #serve(
    protocol: string,
    maxInboundStreams: number,
    serve: (stream: Stream, connection: Connection) => Promise<void>,
  ): Promise<void> {
    const options: StreamHandlerOptions = { maxInboundStreams };
    await this.#node.handle(
      protocol,
      (stream, connection) => {
        const peer = connection.remotePeer.toString();
        serve(stream, connection).catch((error: unknown) => {
          // What was half sent cannot be taken back: a reset, so that nobody takes it for the whole.
          stream.abort(error instanceof Error ? error : new Error(String(error)));
          if (isAgentError(error, 'PEER_PROTOCOL')) this.strike(peer, 'garbage');
          this.#components.logger.debug({ peer, protocol, err: error }, 'a peer’s stream ended badly');
        });
      },
      options,
    );
  }

  #serveControl(stream: Stream): Promise<void> {
    const { stallTimeout } = this.#settings;
    return serveControl(stream, this.#components.holdings, {
      stallTimeout: SENDER_PATIENCE * stallTimeout,
      signal: this.#stop.signal,
    });
  }

  #serveChunks(stream: Stream, connection: Connection): Promise<void> {
    const { holdings, metrics } = this.#components;
    return serveChunks(
      stream,
      { holdings, admission: this.#admission, onServed: (bytes) => metrics.servedBytes.inc(bytes) },
      {
        address: hostOf(connection.remoteAddr),
        stallTimeout: SENDER_PATIENCE * this.#settings.stallTimeout,
        signal: this.#stop.signal,
      },
    );
  }
}

function deadline(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
