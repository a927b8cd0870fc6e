import type { Digest } from '../../../protocol/digest.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import { rendezvousOrder } from '../../../protocol/rendezvous.ts';
import { ChunkTimes } from './chunk-times.ts';
import { seedOf } from './mixed.ts';
import type { OwnPart } from './own-part.ts';
import type { Wanted } from './part.ts';
import { Share } from './share.ts';
import { UplinkRate } from './uplink-rate.ts';
import type { Wish } from './wish.ts';

/** Blobs of which anything is kept that others take: ids are free, and so is a message. */
const MAX_SHARES = 512;

/** Above as many neighbours, a coordinator is given more time. */
const MANY_NEIGHBOURS = 100;

/** How long a coordinator of a LAN of more than {@link MANY_NEIGHBOURS} may take, at least. ms */
const PATIENCE_WITH_MANY = 1_000;

export interface FleetInit {
  /** This agent's peer id. */
  readonly self: string;
  /** How long a coordinator may take to answer a claim. ms @default 250 */
  readonly leaseTimeout?: number;
}

/**
 * The rules of sharing at one agent, for all blobs: messages, events and the time in, wishes out. It has no clock, no
 * socket, no timer and no chance of its own, so that a simulation runs the very same code.
 */
export class Fleet {
  readonly #self: string;
  readonly #leaseTimeout: number;
  readonly #neighbours = new Set<string>();
  /** By digest and size: a false size must not stand in the way of the true one. */
  readonly #shares = new Map<string, Share>();
  /** What this agent takes. */
  readonly #own = new Map<Digest, Share>();
  readonly #times = new ChunkTimes(() => this.#uplink.leases);
  readonly #uplink = new UplinkRate(() => this.#leases());
  readonly #orders = new Map<Digest, readonly string[]>();
  readonly #places = new Map<Digest, number>();
  #listeners: readonly string[] | undefined;
  #wishes: Wish[] = [];

  constructor({ self, leaseTimeout = 250 }: FleetInit) {
    this.#self = self;
    this.#leaseTimeout = leaseTimeout;
  }

  came(peer: string): void {
    this.#neighbours.add(peer);
    this.#changed();
    for (const share of this.#own.values()) share.came(peer);
  }

  left(peer: string, now: number): void {
    this.#neighbours.delete(peer);
    this.#changed();
    for (const [key, share] of this.#shares) {
      share.left(peer);
      this.#settle(key, share, now);
    }
  }

  /** A message from a neighbour. Those of others, and those that make no sense, are passed over. */
  heard(peer: string, message: FleetMessage, now: number): void {
    if (!this.#neighbours.has(peer)) return;
    switch (message.type) {
      case 'taking':
        this.#onShare(message.digest, message.size, now, (share) => share.hear(peer, message, now));
        break;
      case 'claim':
        this.#onShare(message.digest, message.size, now, (share) => share.claimed(peer, message.first, now));
        break;
      case 'left':
        for (const [key, share] of this.#shares) {
          if (share.digest !== message.digest) continue;
          share.left(peer);
          this.#settle(key, share, now);
        }
        break;
      case 'grant':
        this.on(message.digest, now, (own) => own.granted(peer, message.segment, message.partners, now));
        break;
      case 'refuse':
        this.on(message.digest, now, (own) => own.refused(peer, message.fetching, message.partners, now));
        break;
    }
  }

  /** This agent takes a blob from now on. */
  join(digest: Digest, size: number | null, wanted: Wanted, now: number): void {
    const key = keyOf(digest, size);
    const share = this.#shares.get(key) ?? this.#create(digest, size, now);
    this.#own.set(digest, share);
    share.join(wanted, now);
    this.#settle(key, share, now);
  }

  /** It takes it no more. */
  leave(digest: Digest, now: number): void {
    this.#onOwn(digest, now, (share) => share.leave(now));
  }

  /** Something has happened to a blob that this agent takes. Nothing where it takes it no more. */
  on(digest: Digest, now: number, event: (own: OwnPart) => void): void {
    this.#onOwn(digest, now, ({ own }) => own && event(own));
  }

  /** See {@link OwnPart.goesOn}. */
  goesOn(digest: Digest, index: number, now: number): boolean {
    return this.#own.get(digest)?.own?.goesOn(index, now) ?? false;
  }

  /** Does what is due. */
  tick(now: number): void {
    for (const [key, share] of this.#shares) this.#settle(key, share, now);
  }

  /** When {@link tick} has something to do, if nothing happens before. */
  dueAt(now: number): number {
    let at = Number.POSITIVE_INFINITY;
    for (const share of this.#shares.values()) at = Math.min(at, share.dueAt(now));
    return at;
  }

  /** What is wished for since this was last asked. */
  wishes(): Wish[] {
    const wishes = this.#wishes;
    this.#wishes = [];
    return wishes;
  }

  /** How many leases there are of all blobs. */
  #leases(): number {
    let leases = 0;
    for (const { table } of this.#shares.values()) leases += table.leaseHolders;
    return leases;
  }

  #onShare(digest: Digest, size: number | null, now: number, act: (share: Share) => void): void {
    const key = keyOf(digest, size);
    const share = this.#shares.get(key) ?? this.#create(digest, size, now);
    act(share);
    this.#settle(key, share, now);
  }

  #onOwn(digest: Digest, now: number, act: (share: Share) => void): void {
    const share = this.#own.get(digest);
    if (share === undefined) return;
    act(share);
    this.#settle(keyOf(digest, share.size), share, now);
  }

  #create(digest: Digest, size: number | null, now: number): Share {
    if (this.#shares.size >= MAX_SHARES) this.#forgetOne();
    const share = new Share(
      digest,
      size,
      seedOf(this.#self),
      {
        self: this.#self,
        times: this.#times,
        uplink: this.#uplink,
        order: () => this.#orderOf(digest),
        place: () => this.#placeIn(digest),
        neighbours: () => this.#allNeighbours(),
        isNeighbour: (peer) => this.#neighbours.has(peer),
        leaseTimeout: () =>
          this.#neighbours.size > MANY_NEIGHBOURS
            ? Math.max(PATIENCE_WITH_MANY, this.#leaseTimeout)
            : this.#leaseTimeout,
        wish: (wish) => this.#wishes.push(wish),
      },
      now,
    );
    this.#shares.set(keyOf(digest, size), share);
    return share;
  }

  #settle(key: string, share: Share, now: number): void {
    share.decide(now);
    if (share.own === undefined && this.#own.get(share.digest) === share) this.#own.delete(share.digest);
    if (!share.isOver(now)) return;
    this.#shares.delete(key);
    this.#orders.delete(share.digest);
    this.#places.delete(share.digest);
  }

  /** The oldest of those that are others' alone. */
  #forgetOne(): void {
    for (const [key, share] of this.#shares) {
      if (share.own !== undefined) continue;
      // Its leases would count for ever.
      share.table.ignoreAll();
      this.#shares.delete(key);
      return;
    }
  }

  #orderOf(digest: Digest): readonly string[] {
    let order = this.#orders.get(digest);
    if (order === undefined) {
      order = rendezvousOrder(digest, [this.#self, ...this.#neighbours]);
      this.#orders.set(digest, order);
    }
    return order;
  }

  #placeIn(digest: Digest): number {
    let place = this.#places.get(digest);
    if (place === undefined) {
      place = this.#orderOf(digest).indexOf(this.#self);
      this.#places.set(digest, place);
    }
    return place;
  }

  #allNeighbours(): readonly string[] {
    this.#listeners ??= [...this.#neighbours];
    return this.#listeners;
  }

  #changed(): void {
    this.#orders.clear();
    this.#places.clear();
    this.#listeners = undefined;
  }
}

function keyOf(digest: Digest, size: number | null): string {
  return `${digest} ${size}`;
}
