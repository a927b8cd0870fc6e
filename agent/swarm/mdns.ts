import type { PeerInfo } from '@libp2p/interface';
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns';
import type { Logger } from 'pino';
import { queryInterval } from './mdns-pace.ts';
import type { Discovery } from './node.ts';

/** The longest a timer can be set for: the library's own, which asks every host every ten seconds, never fires again. */
const NEVER = 2 ** 31 - 1;

/** Whether multicast DNS works from here. */
export type MdnsStatus =
  | { readonly enabled: false }
  | { readonly enabled: true; readonly healthy: true }
  | { readonly enabled: true; readonly healthy: false /** What the system says. */; readonly reason: string };

/** Finds neighbours by multicast DNS. */
export interface Mdns {
  /** For the node: announces its addresses and listens. */
  readonly discovery: Discovery;
  readonly status: MdnsStatus;
  /** Begins to ask; the node runs by then. */
  start(): void;
  stop(): void;
}

export interface MdnsComponents {
  readonly logger: Logger;
  /** Peers connected: the more there are, the less often is asked. */
  neighbours(): number;
  /** Called for each answer heard, so again and again for the same peer. */
  onPeer(peer: PeerInfo): void;
}

export interface MdnsInit {
  /** The service to announce and look for. */
  readonly service: string;
}

/** The little of multicast-dns that is used here. @libp2p/mdns has it as a public field. */
interface Querier {
  query(
    packet: { questions: { name: string; type: 'PTR' }[] },
    done: (error?: (Error & { code?: string }) | null) => void,
  ): void;
  on(event: 'error', listener: (error: Error & { code?: string }) => void): void;
}

export function createMdns(components: MdnsComponents, init: MdnsInit): Mdns {
  return new LibraryMdns(components, init);
}

class LibraryMdns implements Mdns {
  readonly #components: MdnsComponents;
  readonly #service: string;
  #library: { mdns?: Querier } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #status: MdnsStatus = { enabled: true, healthy: true };

  constructor(components: MdnsComponents, init: MdnsInit) {
    this.#components = components;
    this.#service = init.service;
  }

  readonly discovery: Discovery = (components: MulticastDNSComponents) => {
    const library = mdns({ serviceTag: this.#service, interval: NEVER })(components);
    // Not the node's `peer:discovery`, which fires once a peer and never again.
    library.addEventListener('peer', ({ detail }) => this.#components.onPeer(detail));
    this.#library = library as unknown as { mdns?: Querier };
    return library;
  };

  get status(): MdnsStatus {
    return this.#status;
  }

  start(): void {
    const querier = this.#library?.mdns;
    if (querier === undefined) {
      this.#note('not started');
      return;
    }
    // The port is taken or forbidden: nothing will be heard.
    querier.on('error', (error) => this.#note(error.code ?? error.message));
    this.#ask(querier);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#library = undefined;
  }

  /** The question is the probe: it goes out by the route that answers would come by, and fails where there is none. */
  #ask(querier: Querier): void {
    if (this.#library === undefined) return;
    querier.query({ questions: [{ name: this.#service, type: 'PTR' }] }, (error) => {
      this.#note(error ? (error.code ?? error.message) : undefined);
    });
    this.#timer = setTimeout(() => this.#ask(querier), queryInterval(this.#components.neighbours()));
    this.#timer.unref();
  }

  #note(reason: string | undefined): void {
    if (this.#library === undefined) return;
    const was = this.#status;
    this.#status = reason === undefined ? { enabled: true, healthy: true } : { enabled: true, healthy: false, reason };
    const isChange = was.enabled && was.healthy !== (reason === undefined);
    if (!isChange) return;
    if (reason === undefined) this.#components.logger.info('multicast DNS works again');
    else {
      this.#components.logger.warn(
        { reason },
        'multicast DNS cannot send: neighbours are not found by themselves; add a route for 224.0.0.0/4 or name peers.static',
      );
    }
  }
}
