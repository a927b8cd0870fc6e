import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface';
import { frameHead } from '../../../protocol/frame.ts';
import { AgentError } from '../../errors.ts';

/** Unread bytes above which the peer is told to stop sending. */
const HIGH_WATER = 256 * 1024;

/** Reads a libp2p stream with backpressure. One read at a time. */
export interface StreamReader {
  /**
   * The body of the next frame; undefined where the peer ended its side between two frames.
   * @throws AgentError PEER_PROTOCOL for a malformed frame or one the peer cut off, PEER_STALLED for one that takes too long,
   *   PEER_UNREACHABLE where the stream broke; the signal's reason
   */
  readFrame(signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * Exactly `length` bytes, in `target` where it is given, else in a buffer of that length. `onBytes` is told of every
   * piece.
   * @throws AgentError PEER_UNREACHABLE where the stream ended or broke before; the signal's reason
   */
  readExactly(
    length: number,
    signal?: AbortSignal,
    onBytes?: (bytes: number) => void,
    target?: Uint8Array,
  ): Promise<Uint8Array>;
  /** Like {@link readExactly}, keeping nothing. */
  skip(length: number, signal?: AbortSignal, onBytes?: (bytes: number) => void): Promise<void>;
  /** Every byte of the peer's that was received, read or not. */
  readonly received: number;
  /** Stops listening; what is unread is dropped. */
  detach(): void;
}

/**
 * A reader that holds a slow consumer's peer back. `for await` over a libp2p 3 stream does not (a sleeping reader let
 * the sender finish 64 MiB), hangs when begun after the peer's FIN, and loses bytes around `pause()`; so this listens
 * to `message`, `end` and `close` itself and pauses by a mark of its own. Wants yamux's window below
 * `maxReadBufferLength` (node.ts), as libp2p queues a paused window's worth and resets beyond that.
 */
export function readStream(stream: Stream, init: StreamReaderInit): StreamReader {
  return new Reader(stream, init);
}

export interface StreamReaderInit {
  /** ms within which a frame must be whole once its first byte is here: a peer that dribbles keeps nobody waiting. */
  readonly frameTimeout: number;
}

class Reader implements StreamReader {
  readonly #stream: Stream;
  readonly #frameTimeout: number;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #received = 0;
  #ended = false;
  #resuming = false;
  #failure: Error | undefined;
  /** Where a running readExactly wants the bytes: they go there without a stop in the queue. */
  #direct: ((piece: Uint8Array) => Uint8Array | undefined) | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: Stream, init: StreamReaderInit) {
    this.#stream = stream;
    this.#frameTimeout = init.frameTimeout;
    stream.addEventListener('end', this.#onEnd);
    stream.addEventListener('close', this.#onClose);
    // Whoever comes late missed the events for good.
    if (stream.readableEnded) this.#ended = true;
    else if (stream.status === 'aborted' || stream.status === 'reset') this.#failure = broken();
    // Last: adding it delivers what is already there.
    stream.addEventListener('message', this.#onMessage);
  }

  get received(): number {
    return this.#received;
  }

  async readFrame(signal?: AbortSignal): Promise<Uint8Array | undefined> {
    while (this.#queued === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      await this.#more(signal);
    }
    const whole = this.#takeWhole();
    if (whole !== undefined) return whole;
    const timer = setTimeout(() => {
      this.#failure ??= new AgentError('PEER_STALLED', `a frame was not whole after ${this.#frameTimeout} ms`);
      this.#wake?.();
    }, this.#frameTimeout);
    try {
      return await this.#readBegun(signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next frame's body where all of it is in the first piece: nearly every message, for no timer and no promise. */
  #takeWhole(): Uint8Array | undefined {
    const [first] = this.#queue;
    if (first === undefined) return undefined;
    const head = frameHead(first);
    if (head.kind !== 'frame') return undefined;
    const end = head.start + head.length;
    if (end > first.length) return undefined;
    if (end === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(end);
    this.#queued -= end;
    // A copy, and not by slice(), which for a Buffer gives a view: that would keep the whole piece alive.
    return Uint8Array.from(first.subarray(head.start, end));
  }

  async #readBegun(signal: AbortSignal | undefined): Promise<Uint8Array> {
    for (;;) {
      const head = frameHead(this.#peek());
      if (head.kind === 'malformed') throw new AgentError('PEER_PROTOCOL', 'a malformed frame');
      if (head.kind === 'frame') {
        try {
          await this.skip(head.start, signal);
          return await this.readExactly(head.length, signal);
        } catch (error) {
          throw this.#ended && this.#failure === undefined && signal?.aborted !== true ? this.#cutOff() : error;
        }
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) throw this.#cutOff();
      await this.#more(signal);
    }
  }

  async readExactly(
    length: number,
    signal?: AbortSignal,
    onBytes?: (bytes: number) => void,
    // Not from the shared pool: a small view would keep 64 KiB alive.
    target: Uint8Array = Buffer.allocUnsafeSlow(length),
  ): Promise<Uint8Array> {
    await this.#consume(
      length,
      (piece, at) => {
        target.set(piece, at);
      },
      signal,
      onBytes,
    );
    return target;
  }

  skip(length: number, signal?: AbortSignal, onBytes?: (bytes: number) => void): Promise<void> {
    return this.#consume(length, () => {}, signal, onBytes);
  }

  detach(): void {
    this.#stream.removeEventListener('message', this.#onMessage);
    this.#stream.removeEventListener('end', this.#onEnd);
    this.#stream.removeEventListener('close', this.#onClose);
    this.#queue = [];
    this.#queued = 0;
    this.#failure ??= broken();
    this.#wake?.();
  }

  async #consume(
    length: number,
    take: (piece: Uint8Array, at: number) => void,
    signal: AbortSignal | undefined,
    onBytes: ((bytes: number) => void) | undefined,
  ): Promise<void> {
    let at = 0;
    /** Takes what is wanted of a piece; gives back the rest, if any. */
    const accept = (piece: Uint8Array): Uint8Array | undefined => {
      const wanted = length - at;
      const part = piece.length <= wanted ? piece : piece.subarray(0, wanted);
      take(part, at);
      at += part.length;
      if (part.length > 0) onBytes?.(part.length);
      return part === piece ? undefined : piece.subarray(wanted);
    };
    while (at < length) {
      const piece = this.#queue.shift();
      if (piece === undefined) break;
      const rest = accept(piece);
      if (rest !== undefined) this.#queue.unshift(rest);
      this.#queued -= piece.length - (rest?.length ?? 0);
    }
    if (at === length) return;
    this.#direct = (piece) => {
      const rest = accept(piece);
      if (at === length) {
        this.#direct = undefined;
        this.#wake?.();
      }
      return rest;
    };
    try {
      while (at < length) {
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#ended) throw new AgentError('PEER_UNREACHABLE', 'the stream ended too early');
        await this.#more(signal);
      }
    } finally {
      this.#direct = undefined;
    }
  }

  /** Resolves at the next event; rejects when `signal` fires. Lets the peer send meanwhile. */
  async #more(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const onAbort = (): void => resolve();
    signal?.addEventListener('abort', onAbort);
    try {
      this.#resume();
      await promise;
      signal?.throwIfAborted();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#wake = undefined;
    }
  }

  /** A connection that is lost ends its streams in mid-frame too, and that is nobody's offence. */
  #cutOff(): AgentError {
    return this.#stream.status === 'open' ? new AgentError('PEER_PROTOCOL', 'a frame that was cut off') : broken();
  }

  /** Enough of the queue's start to read a frame's length from. */
  #peek(): Uint8Array {
    const first = this.#queue[0] ?? new Uint8Array(0);
    if (first.length >= 8 || this.#queue.length < 2) return first;
    return Buffer.concat(this.#queue.slice(0, 8));
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    const pieces = event.data instanceof Uint8Array ? [event.data] : event.data;
    for (const piece of pieces) {
      this.#received += piece.length;
      const rest = this.#direct === undefined ? piece : this.#direct(piece);
      if (rest !== undefined && rest.length > 0) {
        this.#queue.push(rest);
        this.#queued += rest.length;
      }
    }
    this.#pauseWhenFull();
    if (this.#direct === undefined) this.#wake?.();
  };

  readonly #onEnd = (): void => {
    // `end` comes before an error's close too: whoever wants bytes compares them with the length it was told.
    this.#ended = true;
    this.#wake?.();
  };

  readonly #onClose = (event: StreamCloseEvent): void => {
    if (event.error !== undefined) this.#failure ??= broken(event.error);
    // A paused stream that closes in good order still has bytes to give; its `end` comes after them.
    if (event.error !== undefined || this.#stream.readBufferLength === 0) this.#ended = true;
    this.#wake?.();
  };

  #pauseWhenFull(): void {
    if (this.#queued < HIGH_WATER || this.#resuming) return;
    // pause() throws on a stream that is closing or closed.
    if (this.#stream.readStatus === 'readable') this.#stream.pause();
  }

  #resume(): void {
    if (this.#stream.readStatus !== 'paused') return;
    // resume() delivers the whole backlog and only then opens yamux's window: a pause() from within would be undone,
    // and the peer could send on until libp2p resets the stream.
    this.#resuming = true;
    try {
      this.#stream.resume();
    } finally {
      this.#resuming = false;
    }
    this.#pauseWhenFull();
  }
}

function broken(cause?: Error): AgentError {
  return new AgentError('PEER_UNREACHABLE', 'the stream broke', { cause });
}
