import type { Connection } from '@libp2p/interface';
import type { ChunkRequest } from '../../../protocol/messages.ts';
import { CHUNKS_PROTOCOL } from '../../../protocol/names.ts';
import { AgentError } from '../../errors.ts';
import { type Throttle, UNLIMITED } from '../../limits/throttle.ts';
import type { LaneAsker } from '../bulk/asker.ts';
import { sharedBuffer, sharedBytes } from '../bulk/shared.ts';
import { CHUNK_STREAMS_PER_PEER, REQUESTS_PER_CHUNK_STREAM, WAITING_CHUNK_REQUESTS } from '../limits.ts';
import { type ChunkStream, createChunkStream, type GivenChunk, LaneEndedError } from './stream.ts';

/** Chunk requests to one peer, over a few streams that are kept and used again. */
export interface ChunkClient {
  /**
   * The chunk's bytes, exactly `length`, and the mark they came with, both unverified; in `into` where it is given,
   * which is lost to the caller when this throws, since bytes may still come; but not with PEER_MISSING or PEER_BUSY.
   * @throws AgentError PEER_STALLED, PEER_MISSING, PEER_BUSY, PEER_PROTOCOL, PEER_UNREACHABLE; the signal's reason
   */
  request(request: ChunkRequest, length: number, signal: AbortSignal, into?: Uint8Array): Promise<GivenChunk>;
  /** Ends the streams and what is outstanding on them. */
  close(): void;
}

export interface ChunkClientComponents {
  /** The connection to open streams on; undefined where the peer is gone. */
  connection(): Connection | undefined;
  /** Holds back the chunks that are read. @default no limit */
  readonly download?: Throttle | undefined;
  /** Where bodies come faster, once there is one. @default by libp2p alone */
  readonly lane?: Pick<LaneAsker, 'take' | 'onProgress'> | undefined;
  /** Told once for each stream on which the peer broke the protocol, however many requests were outstanding on it. */
  onGarbage(): void;
}

export interface ChunkClientInit {
  /** ms without progress after which a chunk counts as stalled; also the longest a stream may take to open. */
  readonly stallTimeout: number;
}

export function createChunkClient(components: ChunkClientComponents, init: ChunkClientInit): ChunkClient {
  return new Client(components, init);
}

class Client implements ChunkClient {
  readonly #components: ChunkClientComponents;
  readonly #init: ChunkClientInit;
  readonly #streams = new Set<ChunkStream>();
  readonly #waiting = new Set<() => void>();
  #opening = 0;
  #closed = false;

  constructor(components: ChunkClientComponents, init: ChunkClientInit) {
    this.#components = components;
    this.#init = init;
  }

  async request(request: ChunkRequest, length: number, signal: AbortSignal, into?: Uint8Array): Promise<GivenChunk> {
    let opened = 0;
    let mayComeByLane = true;
    try {
      for (;;) {
        signal.throwIfAborted();
        // A peer that resets each stream as it is opened is as good as gone.
        if (this.#closed || opened > CHUNK_STREAMS_PER_PEER) throw gone();
        // Chosen and taken in one go: with an await between, all who ask at once would choose the same stream.
        const stream = this.#free();
        if (stream !== undefined) {
          const given = await this.#ask(stream, request, length, signal, into, mayComeByLane);
          if (given !== undefined) return given;
          // Not by another lane, which may end as soon.
          mayComeByLane = false;
          continue;
        }
        if (this.#mayOpen()) {
          opened += 1;
          await this.#open(signal);
        } else await this.#wait(signal);
      }
    } finally {
      // Also where nothing was asked: who was woken and leaves passes the place on.
      this.#next();
    }
  }

  close(): void {
    this.#closed = true;
    for (const stream of this.#streams) stream.close(gone());
    for (const wake of this.#waiting) wake();
  }

  /** Sent before anything is awaited, so that its place on the stream is taken. Undefined where the bulk lane ended first. */
  async #ask(
    stream: ChunkStream,
    request: ChunkRequest,
    length: number,
    signal: AbortSignal,
    into: Uint8Array | undefined,
    mayComeByLane: boolean,
  ): Promise<GivenChunk | undefined> {
    const lane = mayComeByLane ? this.#components.lane : undefined;
    const room = into ?? (lane && sharedBuffer(length));
    const shared = room && sharedBytes(room);
    const body = shared && lane?.take(shared);
    try {
      return await stream.request(request, length, signal, room, body);
    } catch (error) {
      if (error instanceof LaneEndedError) return undefined;
      throw error;
    }
  }

  /** An idle stream; else, where no more may be opened, the least busy with a place free. */
  #free(): ChunkStream | undefined {
    let best: ChunkStream | undefined;
    for (const stream of this.#streams) {
      if (best === undefined || stream.outstanding < best.outstanding) best = stream;
    }
    if (best === undefined || best.outstanding === 0) return best;
    return this.#mayOpen() || best.outstanding >= REQUESTS_PER_CHUNK_STREAM ? undefined : best;
  }

  #mayOpen(): boolean {
    return this.#streams.size + this.#opening < CHUNK_STREAMS_PER_PEER;
  }

  async #open(signal: AbortSignal): Promise<void> {
    const connection = this.#components.connection();
    if (connection === undefined) throw gone();
    this.#opening += 1;
    try {
      const opened = await connection.newStream([CHUNKS_PROTOCOL], {
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.#init.stallTimeout)]),
      });
      if (this.#closed) {
        opened.abort(gone());
        throw gone();
      }
      const stream = createChunkStream(opened, {
        stallTimeout: this.#init.stallTimeout,
        download: this.#components.download ?? UNLIMITED,
        onLaneProgress: (listener) => this.#components.lane?.onProgress(listener) ?? (() => {}),
        onIdle: () => this.#next(),
        onClose: (error) => {
          this.#streams.delete(stream);
          if (error.code === 'PEER_PROTOCOL') this.#components.onGarbage();
          this.#next();
        },
      });
      this.#streams.add(stream);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Error && error.name === 'TimeoutError') {
        throw new AgentError('PEER_STALLED', 'the peer opens no chunk stream', { cause: error });
      }
      throw new AgentError('PEER_UNREACHABLE', 'the peer opens no chunk stream', { cause: error });
    } finally {
      this.#opening -= 1;
      this.#next();
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= WAITING_CHUNK_REQUESTS) throw new AgentError('PEER_BUSY', 'too many chunks are wanted');
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  /** Lets the first that waits look again. */
  #next(): void {
    const [first] = this.#waiting;
    first?.();
  }
}

function gone(): AgentError {
  return new AgentError('PEER_UNREACHABLE', 'the peer is gone');
}
