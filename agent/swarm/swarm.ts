import type { Connection, Stream, StreamHandlerOptions } from '@libp2p/interface';
import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { CHUNKS_PROTOCOL, CONTROL_PROTOCOL } from '../../protocol/names.ts';
import { isAgentError } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import { hostOf } from './address.ts';
import { createAdmission } from './chunks/admission.ts';
import { serveChunks } from './chunks/server.ts';
import { serveControl } from './control/server.ts';
import { openDatastore, type SwarmDatastore } from './datastore.ts';
import { type Dialler, startDialler } from './dialler.ts';
import { createGater } from './gater.ts';
import type { Holder } from './holder.ts';
import { loadIdentity } from './identity.ts';
import { type SwarmInit, type SwarmSettings, settingsOf } from './init.ts';
import { noisePrologue } from './key.ts';
import { INBOUND_CHUNK_STREAMS, INBOUND_CONTROL_STREAMS, QUEUED_CHUNKS, QUEUED_CHUNKS_PER_ADDRESS } from './limits.ts';
import { lookup } from './lookup.ts';
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
  /** Bans and strikes, to be kept where bans should outlive the process. */
  readonly reputation: Pick<Reputation, 'snapshot' | 'restore'>;
  /** Ends every stream and connection. */
  stop(): Promise<void>;
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
  const node = await createNode({
    privateKey,
    listen: settings.listen,
    prologue: noisePrologue(settings.networkKey),
    gater: createGater(reputation),
    datastore,
    dht: settings.dht,
    discovery: [],
  }).catch((error: unknown) => {
    datastore.close();
    throw error;
  });
  const swarm = new Libp2pSwarm(components, settings, node, datastore, reputation);
  await swarm.start();
  return swarm;
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
  #dialler: Dialler | undefined;

  constructor(
    components: SwarmComponents,
    settings: SwarmSettings,
    node: Node,
    datastore: SwarmDatastore,
    reputation: Reputation,
  ) {
    this.#components = components;
    this.#settings = settings;
    this.#node = node;
    this.#datastore = datastore;
    this.reputation = reputation;
    this.#neighbours = trackNeighbours(
      {
        node,
        logger: components.logger,
        gauge: components.metrics.neighbours,
        onGarbage: (peer) => this.strike(peer, 'garbage'),
      },
      { stallTimeout: settings.stallTimeout },
    );
  }

  async start(): Promise<void> {
    const { staticPeers, redialMin, redialMax, stallTimeout, listen } = this.#settings;
    try {
      await this.#serve(CONTROL_PROTOCOL, INBOUND_CONTROL_STREAMS, (stream) => this.#serveControl(stream));
      await this.#serve(CHUNKS_PROTOCOL, INBOUND_CHUNK_STREAMS, (stream, connection) =>
        this.#serveChunks(stream, connection),
      );
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

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the agent stops'));
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
