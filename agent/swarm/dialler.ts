import type { Multiaddr } from '@multiformats/multiaddr';
import type { Logger } from 'pino';
import { peerIdOf } from './address.ts';
import { type DialFailure, kindOf, reasonOf, tellDialFailure } from './dial-failure.ts';
import { KNOWN_PEERS } from './limits.ts';
import { type Node, parseMultiaddr } from './node.ts';
import { redialDelay } from './redial.ts';

/** How often targets that are due are looked for. ms. */
const SWEEP = 250;

/** Dials that run at a time. */
const PARALLEL_DIALS = 16;

/** A peer found by discovery that was not heard of for this long is no longer dialled. ms. */
const FORGET_AFTER = 600_000;

/**
 * A connection lost sooner than this after it was dialled counts as a dial that failed: a peer that has banned this
 * agent lets it finish the handshake and then ends the connection, as often as it is dialled. ms.
 */
const STEADY = 5_000;

/** A peer this agent wants to be connected to. */
export interface Target {
  /** Learnt at the first connection where a static address does not name it. */
  readonly id: string | undefined;
  readonly addresses: readonly string[];
  readonly state: 'idle' | 'dialing' | 'backing-off';
}

/** Dials peers, and dials them again when they are lost. */
export interface Dialler {
  /** A peer was heard of: dialled soon, and again until it is not heard of any more. */
  discovered(id: string, addresses: readonly Multiaddr[]): void;
  readonly targets: readonly Target[];
  stop(): void;
}

export interface DiallerComponents {
  readonly node: Node;
  readonly logger: Logger;
  /** Monotonic clock, ms. */
  now(): number;
  isConnected(id: string): boolean;
  isBanned(id: string): boolean;
}

export interface DiallerInit {
  readonly staticPeers: readonly string[];
  readonly redialMin: number;
  readonly redialMax: number;
  /** ms a dial may take. */
  readonly dialTimeout: number;
}

interface Entry {
  id: string | undefined;
  addresses: Multiaddr[];
  readonly isStatic: boolean;
  heardAt: number;
  dueAt: number;
  failures: number;
  dialing: boolean;
  /** When the last dial succeeded; undefined once its connection has been {@link STEADY}, or is known to be lost. */
  metAt: number | undefined;
  /** The connection before was lost sooner than that. */
  lost: boolean;
  /** The warning was given; it comes again only after a success. */
  warned: boolean;
}

/** @throws AgentError CONFIG_INVALID where a static peer is no multiaddr */
export function startDialler(components: DiallerComponents, init: DiallerInit): Dialler {
  return new Sweep(components, init);
}

class Sweep implements Dialler {
  readonly #components: DiallerComponents;
  readonly #init: DiallerInit;
  readonly #statics: Entry[];
  readonly #found = new Map<string, Entry>();
  readonly #timer: NodeJS.Timeout;
  readonly #stop = new AbortController();
  #dialing = 0;

  constructor(components: DiallerComponents, init: DiallerInit) {
    this.#components = components;
    this.#init = init;
    this.#statics = init.staticPeers.map((text) => {
      const address = parseMultiaddr(text);
      return this.#entry(peerIdOf(address), [address], true, 0);
    });
    this.#timer = setInterval(() => this.#sweep(), SWEEP);
    this.#timer.unref();
    this.#sweep();
  }

  discovered(id: string, addresses: readonly Multiaddr[]): void {
    const { node, now } = this.#components;
    if (id === node.peerId.toString() || addresses.length === 0) return;
    const known = this.#found.get(id);
    if (known !== undefined) {
      known.addresses = [...addresses];
      known.heardAt = now();
      return;
    }
    if (this.#found.size >= KNOWN_PEERS) return;
    // Both sides hear of each other at once; the one with the lower id dials first, and one connection will do.
    const wait = id < node.peerId.toString() ? 1_000 : 0;
    this.#found.set(id, this.#entry(id, [...addresses], false, wait));
  }

  get targets(): readonly Target[] {
    return this.#entries().map(({ id, addresses, dialing, failures }) => ({
      id,
      addresses: addresses.map(String),
      state: dialing ? 'dialing' : failures > 0 ? 'backing-off' : 'idle',
    }));
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stop.abort();
  }

  #entry(id: string | undefined, addresses: Multiaddr[], isStatic: boolean, wait: number): Entry {
    const now = this.#components.now();
    const state = { failures: 0, dialing: false, metAt: undefined, lost: false, warned: false };
    return { id, addresses, isStatic, heardAt: now, dueAt: now + wait, ...state };
  }

  #entries(): Entry[] {
    return [...this.#statics, ...this.#found.values()];
  }

  #sweep(): void {
    const now = this.#components.now();
    for (const [id, { heardAt, dialing }] of this.#found) {
      if (now - heardAt > FORGET_AFTER && !dialing && !this.#components.isConnected(id)) this.#found.delete(id);
    }
    for (const entry of this.#entries()) {
      if (this.#dialing >= PARALLEL_DIALS) return;
      if (entry.dialing) continue;
      if (entry.id !== undefined) {
        if (this.#components.isConnected(entry.id)) {
          // Without a dial of ours it has dialled us, or was reached by its other entry.
          if (entry.metAt === undefined || now - entry.metAt >= STEADY) this.#steady(entry);
          // A connection that is lost at once, again and again, is no reason to dial in a tight loop.
          entry.dueAt = now + this.#init.redialMin;
          continue;
        }
        if (this.#components.isBanned(entry.id)) {
          entry.metAt = undefined;
          continue;
        }
        if (entry.metAt !== undefined) {
          entry.metAt = undefined;
          this.#failed(entry, 'the connection was ended at once', entry.lost ? 'refused' : 'lost');
          entry.lost = true;
        }
      }
      if (entry.dueAt <= now) this.#dial(entry).catch(() => {});
    }
  }

  async #dial(entry: Entry): Promise<void> {
    const { node, now } = this.#components;
    entry.dialing = true;
    this.#dialing += 1;
    try {
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#init.dialTimeout)]);
      const connection = await node.dial(this.#withId(entry), { signal });
      entry.metAt = now();
      entry.dueAt = now() + this.#init.redialMin;
      // Also where another was known: a host that was set up anew has a new identity at its old address.
      if (entry.isStatic) entry.id = connection.remotePeer.toString();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#failed(entry, reasonOf(error), kindOf(error));
    } finally {
      entry.dialing = false;
      this.#dialing -= 1;
    }
  }

  /** A learnt id is not dialled by: the host behind a static address may have been set up anew. */
  #withId({ id, addresses, isStatic }: Entry): Multiaddr[] {
    if (isStatic || id === undefined) return addresses;
    return addresses.map((address) => (peerIdOf(address) === undefined ? address.encapsulate(`/p2p/${id}`) : address));
  }

  #steady(entry: Entry): void {
    entry.failures = 0;
    entry.warned = false;
    entry.metAt = undefined;
    entry.lost = false;
  }

  #failed(entry: Entry, reason: string, kind: DialFailure): void {
    entry.failures += 1;
    if (tellDialFailure(this.#components.logger, { ...entry, peer: entry.id, reason, kind })) entry.warned = true;
    const wait = redialDelay(entry.failures, { min: this.#init.redialMin, max: this.#init.redialMax }, Math.random());
    entry.dueAt = this.#components.now() + wait;
  }
}
