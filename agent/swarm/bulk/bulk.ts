import type { Connection } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Logger } from 'pino';
import { briefly, isAgentError } from '../../errors.ts';
import { type Throttle, UNLIMITED } from '../../limits/throttle.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { hostOf, loopbackSource } from '../address.ts';
import { LaneAsker } from './asker.ts';
import { LaneHolders } from './holder.ts';
import { BulkThread } from './thread.ts';

/** How long after an address could not be listened on that is tried again, when a peer asks for a lane. ms */
const LISTEN_PAUSE = 60_000;

export interface BulkComponents {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'laneBytes'>;
  /** Each piece of a body is paid for before it is read. @default no limit */
  readonly download?: Throttle | undefined;
  /** Whether a peer is connected by libp2p. */
  isNeighbour(peer: string): boolean;
}

export interface BulkInit {
  /** Multiaddrs on which peers open lanes. */
  readonly listen: readonly string[];
  /** ms without progress after which a peer has stalled. */
  readonly stallTimeout: number;
  /** How much more patience a sender has. */
  readonly senderPatience: number;
}

/** Lanes for the bodies of chunks: TLS connections beside libp2p's, in a thread of their own. */
export class Bulk {
  readonly holders: LaneHolders;
  readonly #components: BulkComponents;
  readonly #init: BulkInit;
  readonly #listen: readonly Multiaddr[];
  readonly #thread: BulkThread;
  /** Resolves to the port. Undefined where none is listened on, which is tried when a peer next asks for a lane. */
  #listening: Promise<number | undefined> | undefined;
  #trouble: string | undefined;
  #notBefore = 0;

  constructor(components: BulkComponents, init: BulkInit) {
    this.#components = components;
    this.#init = init;
    this.#listen = init.listen.map((text) => multiaddr(text));
    this.#thread = new BulkThread(
      components.logger,
      (connection, peer) => this.holders.joined(connection, peer),
      () => {
        this.#listening = undefined;
      },
    );
    this.holders = new LaneHolders(
      { thread: this.#thread, port: () => this.#ready(), isNeighbour: components.isNeighbour },
      { stallTimeout: init.senderPatience * init.stallTimeout },
    );
  }

  /** Why peers get no lanes to this agent; undefined where they do, or nobody has asked since the thread died. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Listens. An address that cannot be had is told of, and is no reason not to start: chunks go by libp2p then. */
  async start(): Promise<void> {
    await this.#ready();
  }

  /** The lane to one holder. */
  asker(connection: () => Connection | undefined, onGarbage: () => void): LaneAsker {
    const { download = UNLIMITED, metrics } = this.#components;
    const received = metrics.laneBytes.labels('received');
    const onTaken = (bytes: number) => received.inc(bytes);
    const { stallTimeout } = this.#init;
    const localAddress = loopbackSource(this.#listen);
    return new LaneAsker(
      { thread: this.#thread, download, connection, onTaken, onGarbage },
      { stallTimeout, localAddress },
    );
  }

  async stop(): Promise<void> {
    await this.#thread.close();
  }

  /** The port that is listened on; a thread that has died since is to listen again. */
  async #ready(): Promise<number | undefined> {
    if (this.#listening !== undefined) return this.#listening;
    if (performance.now() < this.#notBefore) return undefined;
    const listening = this.#listenAll();
    this.#listening = listening;
    const port = await listening;
    // The thread may have died meanwhile, and another attempt be under way.
    if (port === undefined && this.#listening === listening) this.#listening = undefined;
    return port;
  }

  async #listenAll(): Promise<number | undefined> {
    let port: number | undefined;
    let trouble: string | undefined;
    for (const address of this.#listen) {
      const wanted = Number(address.getComponents().find(({ name }) => name === 'tcp')?.value ?? 0);
      try {
        // One port for all addresses: peers are told of one, and reach it at the address they know us by.
        port = await this.#thread.listen(hostOf(address), wanted === 0 ? (port ?? 0) : wanted);
      } catch (error) {
        // The thread says of itself that it died, and is soon started again.
        if (isAgentError(error, 'PEER_UNREACHABLE')) return undefined;
        trouble = briefly(error).reason;
        this.#components.logger.warn(briefly(error), 'no bulk lanes from peers; their chunks go by libp2p');
      }
    }
    // Where one address can be had, peers get their lanes there.
    this.#trouble = port === undefined ? trouble : undefined;
    if (port === undefined) this.#notBefore = performance.now() + LISTEN_PAUSE;
    return port;
  }
}
