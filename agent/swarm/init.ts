import type { Accept } from './source.ts';

/** How a swarm is set. Times in ms. */
export interface SwarmInit {
  /** File of the agent's Ed25519 key, made at the first start. */
  readonly identityPath: string;
  /**
   * File of the DHT's records and known addresses: a cache, made anew where it is damaged.
   * @default in memory
   */
  readonly datastorePath?: string;
  /**
   * File of the strikes and bans, so that they outlive the process; put aside where it is damaged.
   * @default in memory
   */
  readonly bansPath?: string;
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[];
  /**
   * Multiaddrs on which peers open lanes for the bodies of chunks; null: these go by libp2p, in both directions.
   * @default null
   */
  readonly bulk?: readonly string[] | null;
  /**
   * From where other agents may connect.
   * @default 'private'
   */
  readonly accept?: Accept;
  /**
   * Multiaddrs of peers to dial and keep dialling, with or without `/p2p/<id>`.
   * @default []
   */
  readonly staticPeers?: readonly string[];
  /**
   * Find neighbours by multicast DNS.
   * @default true
   */
  readonly mdns?: boolean;
  /**
   * Take part in the agents' DHT.
   * @default true
   */
  readonly dht?: boolean;
  /**
   * How long the DHT is told nothing after a blob came to be held, for ten minutes at most. Neighbours hear of it at once,
   * and whoever takes blobs with its LAN has better things to do: each costs a walk through the DHT and a stream to each
   * of its nodes.
   * @default 30000
   */
  readonly advertiseCalm?: number;
  /**
   * The fleet's shared key (key.ts): who has another, or none, cannot connect.
   * @default none
   */
  readonly networkKey?: Uint8Array | undefined;
  /**
   * A peer that moves next to no bytes for this long has stalled.
   * @default 5000
   */
  readonly stallTimeout?: number;
  /**
   * How long a peer may take to say whether it holds a blob.
   * @default 1000
   */
  readonly answerTimeout?: number;
  /**
   * First wait before a failed dial is tried again; it doubles up to {@link redialMax}.
   * @default 1000
   */
  readonly redialMin?: number;
  /** @default 60000 */
  readonly redialMax?: number;
}

/** {@link SwarmInit} with every default filled in. */
export type SwarmSettings = Required<Omit<SwarmInit, 'datastorePath' | 'bansPath'>> &
  Pick<SwarmInit, 'datastorePath' | 'bansPath'>;

export function settingsOf(init: SwarmInit): SwarmSettings {
  return {
    bulk: null,
    accept: 'private',
    staticPeers: [],
    mdns: true,
    dht: true,
    advertiseCalm: 30_000,
    stallTimeout: 5_000,
    answerTimeout: 1_000,
    redialMin: 1_000,
    redialMax: 60_000,
    ...init,
    networkKey: init.networkKey,
  };
}
