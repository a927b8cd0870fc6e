import { randomBytes } from 'node:crypto';
import type { PeerInfo } from '@libp2p/interface';
import { type Digest, toDigest } from '../../protocol/digest.ts';
import { findProviders } from './dht.ts';
import { Horizon } from './horizon.ts';
import type { Node } from './node.ts';

/** How long a walk may keep the next one waiting. ms */
const HEAD_START = 1_000;

/** A walk that no look-up waits for begins so long after it was found to be due, and up to twice as long. ms */
const SCOUT_AFTER = 2_000;

export interface WalksComponents {
  readonly node: Node;
  /** Whether a peer is a neighbour, or shut out. */
  isKnown(peer: string): boolean;
  /** ms */
  now(): number;
}

/**
 * Walks through the DHT for who holds a blob, and whether there can be anybody whom a walk would find. One after the
 * other, since each costs twenty peers a stream and what the first finds may spare the others.
 */
export class Walks {
  readonly #components: WalksComponents;
  readonly #horizon = new Horizon();
  readonly #ending = new AbortController();
  readonly #scoutAfter: number;
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isScouting = false;

  /** @param scoutAfter see {@link SCOUT_AFTER} */
  constructor(components: WalksComponents, scoutAfter = SCOUT_AFTER) {
    this.#components = components;
    this.#scoutAfter = scoutAfter;
  }

  /** Whether a walk may name a holder who is no neighbour, as far as is known: an old finding is looked into behind. */
  mayFind(): boolean {
    this.scout();
    return !this.#horizon.isClosed;
  }

  /** Who advertises the blob, in its turn; ends without throwing, and at once where a walk has turned out to be of no use. */
  async *providers(digest: Digest, signal: AbortSignal): AsyncGenerator<PeerInfo> {
    yield* this.#walk(digest, signal, () => !this.#horizon.isClosed);
  }

  /** To be called when a neighbour has come: it may know others. In a while it is looked into, where that is due. */
  scout(): void {
    const { now } = this.#components;
    if (this.#isScouting || this.#ending.signal.aborted || !this.#horizon.isDue(now())) return;
    this.#isScouting = true;
    // Whoever starts at the same time does not walk at the same time.
    const wait = this.#scoutAfter * (1 + Math.random());
    this.#timer = setTimeout(() => void this.#look().finally(() => (this.#isScouting = false)), wait).unref();
  }

  stop(): void {
    this.#ending.abort();
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const { signal } = this.#ending;
    const isDue = () => this.#horizon.isDue(this.#components.now());
    const nobodys = toDigest('sha256', randomBytes(32));
    for await (const _ of this.#walk(nobodys, signal, isDue));
  }

  async *#walk(digest: Digest, signal: AbortSignal, isNeeded: () => boolean): AsyncGenerator<PeerInfo> {
    const { node, isKnown, now } = this.#components;
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    let timer: NodeJS.Timeout | undefined;
    try {
      await before;
      if (signal.aborted || !isNeeded()) return;
      timer = setTimeout(resolve, HEAD_START).unref();
      yield* findProviders(node, digest, signal, (walk) => this.#horizon.walked(walk, now(), isKnown));
    } finally {
      clearTimeout(timer);
      resolve();
    }
  }
}
