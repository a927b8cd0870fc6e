import type { Stream } from '@libp2p/interface';
import { encodeFrame } from '../../../protocol/frame.ts';
import type { Mark } from '../../../protocol/mark.ts';
import { type ChunkRequest, chunkAnswers, chunkRequests } from '../../../protocol/messages.ts';
import { AgentError } from '../../errors.ts';
import type { Throttle } from '../../limits/throttle.ts';
import { readStream, type StreamReader } from '../stream/reader.ts';
import { type StallWatch, watchStall } from '../stream/stall.ts';

/** A chunk as it came, unverified like the mark that came with it. */
export interface GivenChunk {
  readonly bytes: Uint8Array;
  readonly mark: Mark | undefined;
}

/** One stream of chunk requests, answered in order. */
export interface ChunkStream {
  /** Requests that were sent and not yet answered. */
  readonly outstanding: number;
  /** @throws like ChunkClient.request */
  request(request: ChunkRequest, length: number, signal: AbortSignal, into?: Uint8Array): Promise<GivenChunk>;
  close(error: AgentError): void;
}

export interface ChunkStreamInit {
  /** ms without progress, while a request is outstanding, after which the peer has stalled. */
  readonly stallTimeout: number;
  /** Each piece of a body is paid for before it is read: yamux's window holds the peer back meanwhile. */
  readonly download: Throttle;
  /** Called once, when the stream can no longer be used, and why. */
  onClose(error: AgentError): void;
}

export function createChunkStream(stream: Stream, init: ChunkStreamInit): ChunkStream {
  return new Requests(stream, init);
}

interface Outstanding {
  readonly length: number;
  /** Nobody wants it any more; its bytes come all the same. */
  abandoned: boolean;
  /** Where the bytes go; a buffer of their own where there is none. */
  readonly into: Uint8Array | undefined;
  resolve(chunk: GivenChunk): void;
  reject(error: unknown): void;
}

class Requests implements ChunkStream {
  readonly #stream: Stream;
  readonly #reader: StreamReader;
  readonly #init: ChunkStreamInit;
  readonly #outstanding: Outstanding[] = [];
  /** Ends a wait for the limit. */
  readonly #closing = new AbortController();
  #reading = false;
  #failure: AgentError | undefined;

  constructor(stream: Stream, init: ChunkStreamInit) {
    this.#stream = stream;
    this.#reader = readStream(stream, { frameTimeout: init.stallTimeout });
    this.#init = init;
    stream.addEventListener('close', () => this.close(new AgentError('PEER_UNREACHABLE', 'the stream broke')), {
      once: true,
    });
  }

  get outstanding(): number {
    return this.#outstanding.length;
  }

  async request(request: ChunkRequest, length: number, signal: AbortSignal, into?: Uint8Array): Promise<GivenChunk> {
    if (this.#failure !== undefined) throw this.#failure;
    signal.throwIfAborted();
    try {
      // Small, and bounded by the requests outstanding: no need to wait for a drain.
      this.#stream.send(encodeFrame(chunkRequests.encode(request)));
    } catch (error) {
      throw new AgentError('PEER_UNREACHABLE', 'the stream broke', { cause: error });
    }
    const { promise, resolve, reject } = Promise.withResolvers<GivenChunk>();
    const entry: Outstanding = { length, into, abandoned: false, resolve, reject };
    this.#outstanding.push(entry);
    const onAbort = (): void => {
      entry.abandoned = true;
      reject(signal.reason);
      // Another's answer may be behind it on the stream; where none is, the rest need not come.
      if (this.#outstanding.every(({ abandoned }) => abandoned)) this.close(abandonedStream());
    };
    signal.addEventListener('abort', onAbort);
    if (!this.#reading) this.#readAnswers().catch(() => {});
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  close(error: AgentError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#closing.abort(error);
    this.#stream.abort(error);
    this.#reader.detach();
    for (const entry of this.#outstanding.splice(0)) entry.reject(error);
    this.#init.onClose(error);
  }

  async #readAnswers(): Promise<void> {
    this.#reading = true;
    let seen = this.#reader.received;
    const { stallTimeout } = this.#init;
    const watch = watchStall(stallTimeout, () =>
      this.close(new AgentError('PEER_STALLED', `the peer sent next to nothing for ${stallTimeout} ms`)),
    );
    /** Any byte of the stream counts: an answer may hide behind another's body. */
    const onBytes = (): void => {
      watch.progress(this.#reader.received - seen);
      seen = this.#reader.received;
    };
    try {
      for (let entry = this.#outstanding[0]; entry !== undefined; entry = this.#outstanding[0]) {
        await this.#readAnswer(entry, watch, onBytes);
        this.#outstanding.shift();
        // Small chunks in quick order are progress, however few their bytes.
        watch.progress(Number.POSITIVE_INFINITY);
      }
    } catch (error) {
      // What is no AgentError is no fault of the peer's: the stream closed while it was being paused or resumed.
      this.close(
        error instanceof AgentError ? error : new AgentError('PEER_UNREACHABLE', 'the stream broke', { cause: error }),
      );
    } finally {
      watch.stop();
      this.#reading = false;
    }
  }

  async #readAnswer(entry: Outstanding, watch: StallWatch, onBytes: () => void): Promise<void> {
    const body = await this.#reader.readFrame();
    if (body === undefined) throw new AgentError('PEER_UNREACHABLE', 'the peer ended the stream');
    const answer = chunkAnswers.decode(body);
    switch (answer?.type) {
      case undefined:
        throw new AgentError('PEER_PROTOCOL', 'not a chunk answer');
      case 'missing':
        return entry.reject(new AgentError('PEER_MISSING', 'the peer does not have the chunk'));
      case 'busy':
        return entry.reject(new AgentError('PEER_BUSY', 'the peer serves as many as it can'));
      case 'chunk':
        if (answer.length !== entry.length) throw new AgentError('PEER_PROTOCOL', 'a chunk of another length');
        return this.#readChunk(entry, markOf(answer.mark), watch, onBytes);
    }
  }

  async #readChunk(entry: Outstanding, mark: Mark | undefined, watch: StallWatch, onBytes: () => void): Promise<void> {
    const { length } = entry;
    // Bytes that nobody wants any more come all the same, and are paid for all the same.
    const into = entry.abandoned ? undefined : (entry.into ?? Buffer.allocUnsafeSlow(length));
    for (let at = 0; at < length; ) {
      const end = at + this.#init.download.piece(length - at);
      const held = this.#init.download.take(end - at, this.#closing.signal);
      if (held !== undefined) await watch.during(held);
      if (into === undefined) await this.#reader.skip(end - at, undefined, onBytes);
      else await this.#reader.readExactly(end - at, undefined, onBytes, into.subarray(at, end));
      at = end;
    }
    if (into !== undefined) entry.resolve({ bytes: into, mark });
  }
}

/** The signature in an array of its own: kept with a blob, a view would keep the frame it came in. */
function markOf(mark: readonly [string, Uint8Array] | null): Mark | undefined {
  return mark === null ? undefined : { signer: mark[0], signature: Uint8Array.from(mark[1]) };
}

function abandonedStream(): AgentError {
  return new AgentError('PEER_UNREACHABLE', 'nobody wants what is on the stream');
}
