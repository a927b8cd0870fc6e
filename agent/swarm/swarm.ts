import type { Digest } from '../../protocol/digest.ts';
import { encodeFrame } from '../../protocol/frame.ts';
import { controlRequests, type FleetMessage } from '../../protocol/messages.ts';
import type { AskedTag, SignedTag } from '../../protocol/tag-record.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { Advertiser } from './advertiser.ts';
import type { Bans } from './bans.ts';
import type { Bulk } from './bulk/bulk.ts';
import type { GivenChunk } from './chunks/stream.ts';
import type { SwarmDatastore } from './datastore.ts';
import type { Dialler } from './dialler.ts';
import type { Attendance, Present } from './fleet/attendance.ts';
import type { Holder } from './holder.ts';
import type { SwarmSettings } from './init.ts';
import type { Inventories } from './inventory/inventories.ts';
import type { Roster } from './inventory/roster.ts';
import { type LookupComponents, type LookupInit, lookup, tellers } from './lookup.ts';
import type { Mdns } from './mdns.ts';
import { createMissingRecord } from './missing.ts';
import type { Neighbours } from './neighbours.ts';
import type { Node } from './node.ts';
import { type PeerStatus, peerStatuses } from './peers.ts';
import type { Attendant, Offence, TagTeller } from './ports.ts';
import type { Reputation } from './reputation.ts';
import type { Signing } from './signing.ts';
import { type SwarmStatus, swarmStatus } from './status.ts';
import type { Strikes } from './strikes.ts';
import type { TagAnswering } from './tags/answering.ts';
import type { AskTag } from './tags/ask.ts';
import type { Walks } from './walks.ts';

/** How long the node may take to close its connections, and the disk to take the bans. ms. */
const STOP_TIMEOUT = 5_000;

/** The agent's place among its peers: the Swarm port of agent/fetch/ports.ts, and what the agent says of it. */
export interface LanSwarm {
  readonly hasNeighbours: boolean;
  readonly isTrusted: boolean;
  holders(digest: Digest, signal: AbortSignal): AsyncIterable<Holder>;
  tellers(digest: Digest): readonly Holder[];
  strike(peer: string, offence: Offence): void;
  isBanned(peer: string): boolean;
  readonly peerId: string;
  neighbours(): Present[];
  tell(peers: readonly string[], message: FleetMessage): void;
  chunk(
    peer: string,
    digest: Digest,
    index: number,
    length: number,
    signal: AbortSignal,
    into?: Uint8Array,
  ): Promise<GivenChunk>;
  sign(statement: Uint8Array): Uint8Array;
  verify(signer: string, statement: Uint8Array, signature: Uint8Array): boolean;
  attend(attendant: Attendant): void;
  tag(peer: string, asked: AskedTag, signal: AbortSignal): Promise<SignedTag | undefined>;
  tellTags(teller: TagTeller): void;
  /** How many neighbours told that they hold the blob. */
  tellersOf(digest: Digest): number;
  /** Multiaddrs peers can dial, with the peer id. */
  readonly addresses: string[];
  peers(): PeerStatus[];
  status(): SwarmStatus;
  /** Ends every stream and connection, and writes the bans that are not yet written. Never rejects. */
  stop(): Promise<void>;
}

/** What the swarm is composed of (create.ts). */
export interface SwarmParts {
  readonly node: Node;
  readonly datastore: SwarmDatastore;
  readonly reputation: Reputation;
  readonly bans: Bans;
  readonly neighbours: Neighbours;
  /** Lanes for the bodies of chunks; undefined where they are off. */
  readonly bulk: Bulk | undefined;
  readonly inventories: Inventories;
  readonly walks: Walks;
  readonly attendance: Attendance;
  readonly tags: TagAnswering;
  readonly askTag: AskTag;
  readonly signing: Signing;
  /** Told of every fleet message that goes to a neighbour. */
  onTold(): void;
  readonly roster: Roster;
  readonly strikes: Strikes;
  readonly mdns: Mdns | undefined;
  /** Aborted at the stop: ends look-ups and the streams of peers. */
  readonly ending: AbortController;
  /** What starts only once the node runs. */
  readonly started: { dialler?: Dialler; advertiser?: Advertiser };
}

/** The swarm of these parts, which it stops. */
export function swarmOf(parts: SwarmParts, settings: SwarmSettings): LanSwarm {
  return new Libp2pSwarm(parts, settings);
}

class Libp2pSwarm implements LanSwarm {
  readonly #parts: SwarmParts;
  readonly #settings: SwarmSettings;
  readonly #lookup: LookupComponents;
  readonly #lookupInit: LookupInit;

  constructor(parts: SwarmParts, settings: SwarmSettings) {
    this.#parts = parts;
    this.#settings = settings;
    const { strikes } = parts;
    this.#lookup = {
      ...parts,
      missing: createMissingRecord(() => performance.now()),
      isBanned: strikes.isBanned,
      onGarbage: (peer) => strikes.strike(peer, 'garbage'),
    };
    const { dht, answerTimeout, stallTimeout } = settings;
    this.#lookupInit = { dht, answerTimeout, mapTimeout: 2 * stallTimeout };
  }

  get peerId(): string {
    return this.#parts.node.peerId.toString();
  }

  get addresses(): string[] {
    return this.#parts.node.getMultiaddrs().map(String);
  }

  get hasNeighbours(): boolean {
    return this.#parts.neighbours.all.length > 0;
  }

  get isTrusted(): boolean {
    return this.#settings.networkKey !== undefined;
  }

  holders(digest: Digest, signal: AbortSignal): AsyncIterable<Holder> {
    return lookup(digest, AbortSignal.any([signal, this.#parts.ending.signal]), this.#lookup, this.#lookupInit);
  }

  tellers(digest: Digest): readonly Holder[] {
    return tellers(digest, this.#lookup, this.#lookupInit);
  }

  strike(peer: string, offence: Offence): void {
    this.#parts.strikes.strike(peer, offence);
  }

  isBanned(peer: string): boolean {
    return this.#parts.strikes.isBanned(peer);
  }

  neighbours(): Present[] {
    return this.#parts.neighbours.all
      .filter(({ id }) => !this.isBanned(id))
      .map(({ id, address }) => ({ peer: id, address }));
  }

  tell(peers: readonly string[], message: FleetMessage): void {
    const { neighbours, onTold } = this.#parts;
    // Once for all of them, and not at all where nobody is there.
    let frame: Uint8Array | undefined;
    for (const peer of peers) {
      const neighbour = neighbours.get(peer);
      if (neighbour === undefined) continue;
      frame ??= encodeFrame(controlRequests.encode(message));
      neighbour.teller.tell(message, frame);
      onTold();
    }
  }

  async chunk(
    peer: string,
    digest: Digest,
    index: number,
    length: number,
    signal: AbortSignal,
    into?: Uint8Array,
  ): Promise<GivenChunk> {
    const neighbour = this.#parts.neighbours.get(peer);
    if (neighbour === undefined) throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
    return neighbour.chunks.request({ digest, index }, length, signal, into);
  }

  sign(statement: Uint8Array): Uint8Array {
    return this.#parts.signing.sign(statement);
  }

  verify(signer: string, statement: Uint8Array, signature: Uint8Array): boolean {
    return this.#parts.signing.verify(signer, statement, signature);
  }

  attend(attendant: Attendant): void {
    this.#parts.attendance.attend(attendant);
  }

  async tag(peer: string, asked: AskedTag, signal: AbortSignal): Promise<SignedTag | undefined> {
    const neighbour = this.#parts.neighbours.get(peer);
    if (neighbour === undefined) throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
    return this.#parts.askTag(neighbour, asked, signal).catch((error: unknown) => {
      if (isAgentError(error, 'PEER_PROTOCOL')) this.#parts.strikes.strike(peer, 'garbage');
      throw error;
    });
  }

  tellTags(teller: TagTeller): void {
    this.#parts.tags.by(teller);
  }

  tellersOf(digest: Digest): number {
    return this.tellers(digest).length;
  }

  peers(): PeerStatus[] {
    const { neighbours, inventories, started, reputation } = this.#parts;
    return peerStatuses({
      neighbours: neighbours.all,
      targets: started.dialler?.targets ?? [],
      banned: reputation.banned(),
      strikes: (peer) => reputation.strikes(peer),
      blobs: (peer) => inventories.of(peer)?.size ?? 0,
    });
  }

  status(): SwarmStatus {
    return swarmStatus({ ...this.#parts, hasNetworkKey: this.isTrusted });
  }

  async stop(): Promise<void> {
    const { node, datastore, bans, neighbours, walks, bulk, roster, mdns, ending, started } = this.#parts;
    ending.abort(new Error('the agent stops'));
    mdns?.stop();
    walks.stop();
    started.advertiser?.stop();
    started.dialler?.stop();
    neighbours.stop();
    roster.stop();
    // A peer that does not answer the goodbye is not waited for.
    for (const connection of node.getConnections()) {
      connection
        .close({ signal: AbortSignal.timeout(STOP_TIMEOUT / 5) })
        .catch(() => connection.abort(new Error('stop')));
    }
    const nodeStopped = Promise.resolve(node.stop()).catch(() => {});
    await Promise.race([Promise.all([nodeStopped, bans.stop(), bulk?.stop()]), deadline(STOP_TIMEOUT)]);
    datastore.close();
  }
}

function deadline(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
