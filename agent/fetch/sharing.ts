import type { Digest } from '../../protocol/digest.ts';
import type { Mark } from '../../protocol/mark.ts';
import type { FleetMessage } from '../../protocol/messages.ts';
import type { Attendant, Neighbour, Swarm } from './ports.ts';
import { Fleet } from './rules/fleet.ts';
import type { OwnPart } from './rules/own-part.ts';
import type { Wanted } from './rules/part.ts';
import type { Wish } from './rules/wish.ts';

/** Blobs whose marks are kept after they are whole, for those who still take them. */
const MAX_MARKED = 512;

/** Who looks into what others say of one blob's chunks; see Inquiry. */
export interface Inquirer {
  accused(accuser: string, index: number, sha256: Uint8Array, mark: Mark): void;
  vouched(peer: string, index: number, sha256: Uint8Array): void;
  /** A peer was caught lying: what rests on its word is dropped. */
  drop(liar: string): Promise<void>;
  /** Chunks were dropped, by whomever. */
  forgotten(): void;
}

/** Who acts on the rules' wishes for one blob. None of these throw. */
export interface Taker {
  take(peer: string, index: number): void;
  cancel(peer: string, index: number): void;
  upstream(from: number, to: number): void;
  /** Ends what {@link upstream} began. */
  halt(): void;
  stuck(): void;
  /** A neighbour takes the blob no more, says it; called before the rules hear of it. */
  leaves?(peer: string): void;
  /**
   * A chunk that is there, as {@link Attendant.chunk} gives it; undefined where it is not, or the blob has come to its
   * end meanwhile.
   */
  chunk(index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined>;
  /** Who vouches for a chunk. */
  mark(index: number): Mark | undefined;
  /** Undefined where there is nothing to look into. */
  readonly inquiry?: Inquirer | undefined;
}

/** The agent's part in what its LAN takes together: carries messages and the time to the rules, and their wishes out. */
export class Sharing implements Attendant {
  readonly #swarm: Swarm;
  readonly #fleet: Fleet;
  readonly #takers = new Map<Digest, Taker>();
  /** Of blobs that are whole by now, too. */
  readonly #marks = new Map<Digest, Taker['mark']>();
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #isActing = false;
  #isStopped = false;

  /** @param leaseTimeout how long a coordinator may take to answer a claim, ms */
  constructor(swarm: Swarm, leaseTimeout: number) {
    this.#swarm = swarm;
    this.#fleet = new Fleet({ self: swarm.peerId, leaseTimeout });
    swarm.attend(this);
  }

  /** Who takes this blob. */
  takerOf(digest: Digest): Taker | undefined {
    return this.#takers.get(digest);
  }

  /** This agent takes a blob from now on. One taker a digest: who was it before is told that it is stuck. */
  join(digest: Digest, size: number | null, wanted: Wanted, taker: Taker): void {
    const before = this.#takers.get(digest);
    if (before !== undefined) {
      this.leave(digest, false);
      before.stuck();
    }
    this.#takers.set(digest, taker);
    this.#marks.delete(digest);
    this.#marks.set(digest, (index) => taker.mark(index));
    if (this.#marks.size > MAX_MARKED) this.#forgetMarks();
    this.#fleet.join(digest, size, wanted, performance.now());
    this.#act();
  }

  /** Something has happened to a blob that is being taken. */
  on(digest: Digest, event: (own: OwnPart, now: number) => void): void {
    const now = performance.now();
    this.#fleet.on(digest, now, (own) => event(own, now));
    this.#act();
  }

  /** Whether chunk `index` is still to be taken from upstream. */
  goesOn(digest: Digest, index: number): boolean {
    return this.#fleet.goesOn(digest, index, performance.now());
  }

  /** The taker is gone. @param isWhole whether the blob is held now: then the LAN is served on */
  leave(digest: Digest, isWhole: boolean): void {
    this.#takers.delete(digest);
    const now = performance.now();
    if (isWhole) this.#fleet.on(digest, now, (own) => own.completed(now));
    else this.#fleet.leave(digest, now);
    this.#act();
  }

  /** Who else takes the blob. */
  takers(digest: Digest): string[] {
    let peers: string[] = [];
    this.#fleet.on(digest, performance.now(), (own) => {
      peers = own.takers;
    });
    return peers;
  }

  /** Tells all who take the blob. */
  tell(digest: Digest, message: FleetMessage): void {
    this.#swarm.tell(this.takers(digest), message);
  }

  /** A peer was caught vouching for a false chunk: nothing rests on its word any more, in any blob. */
  async convicted(liar: string): Promise<void> {
    await Promise.all([...this.#takers.values()].map((taker) => taker.inquiry?.drop(liar)));
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  came({ peer }: Neighbour): void {
    this.#fleet.came(peer);
    this.#act();
  }

  left(peer: string): void {
    this.#fleet.left(peer, performance.now());
    this.#act();
  }

  heard(peer: string, message: FleetMessage): void {
    if (message.type === 'left') this.#takers.get(message.digest)?.leaves?.(peer);
    if (message.type === 'accuse') {
      const [signer, signature] = message.mark;
      const inquiry = this.#takers.get(message.digest)?.inquiry;
      inquiry?.accused(peer, message.index, message.sha256, { signer, signature });
    } else if (message.type === 'vouch') {
      this.#takers.get(message.digest)?.inquiry?.vouched(peer, message.index, message.sha256);
    } else this.#fleet.heard(peer, message, performance.now());
    this.#act();
  }

  async chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#takers.get(digest)?.chunk(index, signal, into);
  }

  mark(digest: Digest, index: number): Mark | undefined {
    return this.#marks.get(digest)?.(index);
  }

  /** Does what the rules wish, and what they wish because of it; then waits for what is due next. */
  #act(): void {
    // A wish may lead to an event at once: that one's wishes are seen to by the loop that is running.
    if (this.#isActing || this.#isStopped) return;
    this.#isActing = true;
    try {
      for (let wishes = this.#fleet.wishes(); wishes.length > 0; wishes = this.#fleet.wishes()) {
        for (const wish of wishes) this.#fulfil(wish);
      }
    } finally {
      this.#isActing = false;
    }
    this.#wait();
  }

  #fulfil(wish: Wish): void {
    if (wish.kind === 'tell') {
      this.#swarm.tell(wish.peers, wish.message);
      return;
    }
    const taker = this.#takers.get(wish.digest);
    if (taker === undefined) return;
    if (wish.kind === 'take') taker.take(wish.peer, wish.index);
    else if (wish.kind === 'cancel') taker.cancel(wish.peer, wish.index);
    else if (wish.kind === 'upstream') taker.upstream(wish.from, wish.to);
    else if (wish.kind === 'halt') taker.halt();
    else taker.stuck();
  }

  #wait(): void {
    const now = performance.now();
    const dueAt = this.#fleet.dueAt(now);
    if (dueAt === this.#dueAt && this.#timer !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dueAt = dueAt;
    if (!Number.isFinite(dueAt)) return;
    // No sooner than a millisecond from now: what is due for ever must not keep the process from all else.
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#fleet.tick(performance.now());
        this.#act();
      },
      Math.max(1, Math.ceil(dueAt - now)),
    );
    this.#timer.unref();
  }

  #forgetMarks(): void {
    for (const digest of this.#marks.keys()) {
      if (this.#takers.has(digest)) continue;
      this.#marks.delete(digest);
      return;
    }
  }
}
