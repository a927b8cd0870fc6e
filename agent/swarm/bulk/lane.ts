import { AgentError } from '../../errors.ts';
import type { Throttle } from '../../limits/throttle.ts';
import { type StallWatch, watchStall } from '../stream/stall.ts';
import type { SharedBytes } from './thread/messages.ts';
import type { BulkThread, Follower } from './thread.ts';

/** A body that is to come. */
export interface Body {
  /** What the holder is told to name it. */
  readonly tag: number;
  /**
   * The SHA-256 of the body, once all of it is in its memory.
   * @throws AgentError PEER_UNREACHABLE where the lane ends before, or it was abandoned, once it has come; PEER_STALLED
   *   where nothing comes
   */
  readonly whole: Promise<Uint8Array>;
  /** The holder says that it comes: from here on it is paid for, where a limit holds it back. */
  begin(): void;
  /** It does not come by the lane. Resolves when its memory is left alone. */
  cancel(): Promise<void>;
  /** Nobody wants it any more; it may come all the same. */
  abandon(): void;
  /** Nobody will say whether it comes: it may be on its way, and unpaid it would hold up those behind it. */
  unannounced(): void;
}

export interface LaneComponents {
  readonly thread: BulkThread;
  /** Each piece of a body is paid for before it is read. */
  readonly download: Throttle;
  /** Told once, when it has ended. */
  onClosed(reason: string, isGarbage: boolean): void;
  onOpen(): void;
  /** Told of the bytes of each body that is whole. */
  onTaken(bytes: number): void;
  /** Told of bytes that came, whatever body they are of. */
  onMoved(bytes: number): void;
}

export interface LaneInit {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly ticket: string;
  readonly key: Uint8Array;
  /** ms it may take to open. Nobody waits for it. */
  readonly openTimeout: number;
  /** ms without progress, while a body is to come, after which the peer has stalled. */
  readonly stallTimeout: number;
}

interface Waiting {
  readonly length: number;
  /** Nobody wants it any more. What is on its way keeps its place all the same. */
  isAbandoned: boolean;
  resolve(sha256: Uint8Array): void;
  reject(error: AgentError): void;
}

/** A lane to a holder: the bodies of the chunks this agent asks it for come here. */
export class Lane implements Follower {
  readonly #components: LaneComponents;
  readonly #init: LaneInit;
  readonly #number: number;
  readonly #waiting = new Map<number, Waiting>();
  /** Those that the holder says are coming: until then it is the chunk stream that is watched. */
  readonly #begun = new Set<number>();
  readonly #ending = new AbortController();
  #state: 'opening' | 'open' | 'closed' = 'opening';
  #watch: StallWatch | undefined;
  #failure: AgentError | undefined;
  #lastTag = 0;
  /** Bytes to come that a limit holds back, not yet paid for. */
  #unpaid = 0;
  #isPaying = false;

  /** @throws AgentError PEER_UNREACHABLE where it cannot even be tried */
  constructor(components: LaneComponents, init: LaneInit) {
    this.#components = components;
    this.#init = init;
    const { stallTimeout: _, openTimeout: timeout, ...dial } = init;
    this.#number = components.thread.dial({ ...dial, timeout }, this);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether no body is to come. One that nobody wants and nobody says is coming may never come. */
  get isIdle(): boolean {
    if (this.#begun.size > 0) return false;
    for (const { isAbandoned } of this.#waiting.values()) if (!isAbandoned) return false;
    return true;
  }

  /** Asks for room for a body, before the holder is asked for it. */
  take(into: SharedBytes): Body {
    // Used again after four thousand million: none is out for so long.
    this.#lastTag = (this.#lastTag + 1) >>> 0;
    const tag = this.#lastTag;
    const { thread, download } = this.#components;
    const { promise: whole, resolve, reject } = Promise.withResolvers<Uint8Array>();
    // Whoever has left by then does not hear of it.
    whole.catch(() => {});
    const waiting: Waiting = { length: into.length, isAbandoned: false, resolve, reject };
    this.#waiting.set(tag, waiting);
    const isLimited = download.rate !== undefined;
    thread.take(this.#number, tag, into, isLimited ? 0 : into.length);
    let isPaid = !isLimited;
    const pay = (): void => {
      if (isPaid) return;
      isPaid = true;
      void this.#pay(into.length);
    };
    return {
      tag,
      whole,
      begin: () => {
        // It may be there already, or the lane be gone.
        if (this.#waiting.has(tag)) {
          this.#begun.add(tag);
          this.#watch ??= watchStall(this.#init.stallTimeout, () => this.#stalled());
        }
        pay();
      },
      cancel: () => {
        this.#over(tag);
        return thread.cancel(this.#number, tag);
      },
      abandon: () => {
        if (waiting.isAbandoned || !this.#waiting.has(tag)) return;
        waiting.isAbandoned = true;
        thread.abandon(this.#number, tag);
      },
      unannounced: () => {
        if (this.#waiting.has(tag)) pay();
      },
    };
  }

  close(reason: string): void {
    if (this.#state !== 'closed') this.#components.thread.end(this.#number, reason);
  }

  opened(): void {
    this.#state = 'open';
    this.#components.onOpen();
  }

  moved(bytes: number): void {
    this.#watch?.progress(bytes);
    this.#components.onMoved(bytes);
  }

  taken(tag: number, sha256: Uint8Array | undefined): void {
    const waiting = this.#waiting.get(tag);
    this.#over(tag);
    this.#watch?.progress(Number.POSITIVE_INFINITY);
    if (waiting === undefined) return;
    this.#components.onTaken(waiting.length);
    if (sha256 !== undefined) waiting.resolve(sha256);
    else waiting.reject(new AgentError('PEER_UNREACHABLE', 'nobody wanted the body any more'));
  }

  closed(reason: string, isGarbage: boolean): void {
    this.#state = 'closed';
    this.#begun.clear();
    this.#watch?.stop();
    this.#watch = undefined;
    const failure = this.#failure ?? new AgentError('PEER_UNREACHABLE', `the bulk lane ended: ${reason}`);
    this.#ending.abort(failure);
    for (const { reject } of this.#waiting.values()) reject(failure);
    this.#waiting.clear();
    this.#components.onClosed(reason, isGarbage);
  }

  #over(tag: number): void {
    this.#waiting.delete(tag);
    this.#begun.delete(tag);
    if (this.#begun.size > 0) return;
    this.#watch?.stop();
    this.#watch = undefined;
  }

  /** A limit holds bodies back: the lane is read as is paid for, in the order in which bytes come and not body by body. */
  async #pay(length: number): Promise<void> {
    this.#unpaid += length;
    if (this.#isPaying) return;
    this.#isPaying = true;
    const { thread, download } = this.#components;
    try {
      while (this.#unpaid > 0 && this.#state !== 'closed') {
        const bytes = download.piece(this.#unpaid);
        this.#unpaid -= bytes;
        const held = download.take(bytes, this.#ending.signal);
        if (held !== undefined) await (this.#watch?.during(held) ?? held);
        thread.allow(this.#number, bytes);
      }
    } catch {
      // The lane has ended meanwhile.
    } finally {
      this.#isPaying = false;
    }
  }

  #stalled(): void {
    const { stallTimeout } = this.#init;
    this.#failure = new AgentError('PEER_STALLED', `the peer sent next to nothing for ${stallTimeout} ms`);
    this.close('stalled');
  }
}
