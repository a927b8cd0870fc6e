import type { Stream } from '@libp2p/interface';
import { encodeFrame } from '../../../protocol/frame.ts';
import type { Mark } from '../../../protocol/mark.ts';
import { type ChunkRequest, chunkAnswers, chunkRequests } from '../../../protocol/messages.ts';
import { AgentError } from '../../errors.ts';
import type { Throttle } from '../../limits/throttle.ts';
import type { Body } from '../bulk/lane.ts';
import { readStream, type StreamReader } from '../stream/reader.ts';
import { type StallWatch, watchStall } from '../stream/stall.ts';

/** A chunk as it came, unverified like the mark that came with it. */
export interface GivenChunk {
  readonly bytes: Uint8Array;
  readonly mark: Mark | undefined;
  /** The SHA-256 of the bytes, where they came by a bulk lane: it was made there. */
  readonly sha256?: Uint8Array;
}

/** The bulk lane ended before the chunk had come: it may be asked for again without. */
export class LaneEndedError extends Error {
  override readonly name = 'LaneEndedError';
}

/** One stream of chunk requests, answered in order. */
export interface ChunkStream {
  /** Requests that were sent and not yet answered. */
  readonly outstanding: number;
  /**
   * @param into where the chunk goes; a buffer of its own where it is not given
   * @param body room for it on a bulk lane, in `into`
   * @throws like ChunkClient.request, and LaneEndedError
   */
  request(
    request: ChunkRequest,
    length: number,
    signal: AbortSignal,
    into?: Uint8Array,
    body?: Body,
  ): Promise<GivenChunk>;
  close(error: AgentError): void;
}

export interface ChunkStreamInit {
  /** ms without progress, while a request is outstanding, after which the peer has stalled. */
  readonly stallTimeout: number;
  /** Each piece of a body is paid for before it is read: yamux's window holds the peer back meanwhile. */
  readonly download: Throttle;
  /** Tells of bytes that come by the peer's bulk lane. @returns what ends it */
  onLaneProgress(listener: (bytes: number) => void): () => void;
  /** A body has come, or does not come, after its request was answered: there may be a place for another. */
  onIdle(): void;
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
  /** Where it may come instead of here. */
  readonly body: Body | undefined;
  resolve(chunk: GivenChunk): void;
  reject(error: unknown): void;
}

class Requests implements ChunkStream {
  readonly #stream: Stream;
  readonly #reader: StreamReader;
  readonly #init: ChunkStreamInit;
  readonly #outstanding: Outstanding[] = [];
  /** Chunks that were answered, and are still coming by the bulk lane. */
  #onLane = 0;
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
    return this.#outstanding.length + this.#onLane;
  }

  async request(
    request: ChunkRequest,
    length: number,
    signal: AbortSignal,
    into?: Uint8Array,
    body?: Body,
  ): Promise<GivenChunk> {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      signal.throwIfAborted();
      // Small, and bounded by the requests outstanding: no need to wait for a drain.
      this.#stream.send(
        encodeFrame(chunkRequests.encode(body === undefined ? request : { ...request, lane: body.tag })),
      );
    } catch (error) {
      // Nobody was asked for it.
      void body?.cancel();
      if (error === this.#failure || signal.aborted) throw error;
      throw new AgentError('PEER_UNREACHABLE', 'the stream broke', { cause: error });
    }
    const { promise, resolve, reject } = Promise.withResolvers<GivenChunk>();
    const entry: Outstanding = { length, into, body, abandoned: false, resolve, reject };
    this.#outstanding.push(entry);
    const onAbort = (): void => {
      entry.abandoned = true;
      reject(signal.reason);
      // Another's answer may be behind it on the stream; where none is, the rest need not come.
      if (this.#outstanding.includes(entry) && this.#outstanding.every(isOfNoUse)) this.close(abandonedStream());
    };
    signal.addEventListener('abort', onAbort);
    if (!this.#reading) this.#readAnswers().catch(() => {});
    try {
      return await promise;
    } catch (error) {
      // Whatever went wrong, nobody waits for the body any more.
      body?.abandon();
      throw error;
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
    for (const { body, reject } of this.#outstanding.splice(0)) {
      body?.unannounced();
      reject(error);
    }
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
    const ignore = this.#init.onLaneProgress((bytes) => watch.progress(bytes));
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
      ignore();
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
        return refuse(entry, new AgentError('PEER_MISSING', 'the peer does not have the chunk'));
      case 'busy':
        return refuse(entry, new AgentError('PEER_BUSY', 'the peer serves as many as it can'));
      case 'chunk':
        if (answer.length !== entry.length) throw new AgentError('PEER_PROTOCOL', 'a chunk of another length');
        if (answer.lane === true) return this.#followBody(entry, markOf(answer.mark));
        // Before a byte is written: the lane's would go to the same place.
        await entry.body?.cancel();
        return this.#readChunk(entry, markOf(answer.mark), watch, onBytes);
    }
  }

  /** The answers behind it need not wait for a body that comes another way. */
  #followBody(entry: Outstanding, mark: Mark | undefined): void {
    const { body, into } = entry;
    if (body === undefined || into === undefined) {
      throw new AgentError('PEER_PROTOCOL', 'a body by a lane that was not asked for');
    }
    body.begin();
    this.#onLane += 1;
    void this.#awaitBody(entry, body, into, mark);
  }

  /** Never rejects. */
  async #awaitBody(entry: Outstanding, body: Body, into: Uint8Array, mark: Mark | undefined): Promise<void> {
    try {
      const sha256 = await body.whole;
      entry.resolve({ bytes: into, mark, sha256 });
    } catch (error) {
      const isEnd = error instanceof AgentError && error.code === 'PEER_UNREACHABLE';
      entry.reject(isEnd ? new LaneEndedError(error.message) : error);
    } finally {
      this.#onLane -= 1;
      this.#init.onIdle();
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

/** Nobody wants its answer, and no body comes another way that its answer tells of. */
function isOfNoUse({ abandoned, body }: Outstanding): boolean {
  return abandoned && body === undefined;
}

/** The signature in an array of its own: kept with a blob, a view would keep the frame it came in. */
function markOf(mark: readonly [string, Uint8Array] | null): Mark | undefined {
  return mark === null ? undefined : { signer: mark[0], signature: Uint8Array.from(mark[1]) };
}

function abandonedStream(): AgentError {
  return new AgentError('PEER_UNREACHABLE', 'nobody wants what is on the stream');
}

/** No body comes. Told once nothing writes to its memory any more, whatever the peer sends: the caller may use it again. */
function refuse({ body, reject }: Outstanding, error: AgentError): void {
  if (body === undefined) reject(error);
  else void body.cancel().then(() => reject(error));
}
