import type { Connection, Stream } from '@libp2p/interface';
import { encodeFrame } from '../../../protocol/frame.ts';
import {
  type ControlAnswer,
  type ControlQuestion,
  controlAnswers,
  controlRequests,
} from '../../../protocol/messages.ts';
import { CONTROL_PROTOCOL } from '../../../protocol/names.ts';
import { AgentError } from '../../errors.ts';
import { OUTSTANDING_QUESTIONS } from '../limits.ts';
import { readStream } from '../stream/reader.ts';

/** A question before it has its id. */
export type Question = ControlQuestion extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

/** Unsent bytes at which a peer counts as not reading: two announcements, and a few hundred questions behind them. */
const MAX_UNSENT = 128 * 1024;

/** The one long-lived control stream this agent opened to a neighbour. */
export interface ControlClient {
  /**
   * Asks, and waits for the answer with the same id. Opens the stream where there is none.
   * @throws AgentError PEER_UNREACHABLE, PEER_BUSY (too many questions outstanding), PEER_STALLED; the signal's reason
   */
  ask(question: Question, signal: AbortSignal): Promise<ControlAnswer>;
  /**
   * The stream, opened where there is none: for announcements, which must go on from where they began.
   * @throws AgentError PEER_UNREACHABLE
   */
  open(): Promise<Stream>;
  /** The stream, where it is open. */
  readonly stream: Stream | undefined;
  /** Ends the stream and everything outstanding on it. */
  close(): void;
}

export interface ControlClientComponents {
  /** The connection to open the stream on; undefined where the peer is gone. */
  connection(): Connection | undefined;
  /** Told when the peer broke the protocol; the stream is aborted by then. */
  onGarbage(): void;
}

export interface ControlClientInit {
  /** ms a stream may take to open. */
  readonly openTimeout: number;
  /** ms a whole answer may take once it has begun; the largest is a chunk map of half a MiB. */
  readonly frameTimeout: number;
}

export function createControlClient(components: ControlClientComponents, init: ControlClientInit): ControlClient {
  return new Client(components, init);
}

interface Outstanding {
  resolve(answer: ControlAnswer): void;
  reject(error: Error): void;
}

class Client implements ControlClient {
  readonly #components: ControlClientComponents;
  readonly #init: ControlClientInit;
  readonly #outstanding = new Map<number, Outstanding>();
  #opening: Promise<Stream> | undefined;
  #stream: Stream | undefined;
  #nextId = 0;
  #closed = false;

  constructor(components: ControlClientComponents, init: ControlClientInit) {
    this.#components = components;
    this.#init = init;
  }

  get stream(): Stream | undefined {
    return this.#stream;
  }

  async ask(question: Question, signal: AbortSignal): Promise<ControlAnswer> {
    signal.throwIfAborted();
    if (this.#outstanding.size >= OUTSTANDING_QUESTIONS) throw new AgentError('PEER_BUSY', 'too many questions');
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) % 0x1_0000_0000;
    const { promise, resolve, reject } = Promise.withResolvers<ControlAnswer>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    this.#outstanding.set(id, { resolve, reject });
    this.#send({ ...question, id } as ControlQuestion).catch(reject);
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#outstanding.delete(id);
    }
  }

  close(): void {
    this.#closed = true;
    this.#stream?.abort(new Error('no longer needed'));
    this.#fail(new AgentError('PEER_UNREACHABLE', 'the peer is gone'));
  }

  async #send(request: ControlQuestion): Promise<void> {
    const stream = await this.open();
    if (stream.writeBufferLength > MAX_UNSENT) {
      const error = new AgentError('PEER_STALLED', 'the peer does not read its control stream');
      stream.abort(error);
      throw error;
    }
    try {
      stream.send(encodeFrame(controlRequests.encode(request)));
    } catch (error) {
      throw new AgentError('PEER_UNREACHABLE', 'the control stream broke', { cause: error });
    }
  }

  async open(): Promise<Stream> {
    if (this.#stream !== undefined) return this.#stream;
    this.#opening ??= this.#openStream().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openStream(): Promise<Stream> {
    const connection = this.#components.connection();
    if (connection === undefined || this.#closed) throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
    let stream: Stream;
    try {
      stream = await connection.newStream([CONTROL_PROTOCOL], {
        signal: AbortSignal.timeout(this.#init.openTimeout),
      });
    } catch (error) {
      throw new AgentError('PEER_UNREACHABLE', 'the peer opens no control stream', { cause: error });
    }
    if (this.#closed) {
      stream.abort(new Error('no longer needed'));
      throw new AgentError('PEER_UNREACHABLE', 'the peer is gone');
    }
    // Silent for hours where nobody pulls: that is no fault.
    stream.inactivityTimeout = Number.POSITIVE_INFINITY;
    this.#stream = stream;
    this.#readAnswers(stream).catch(() => {});
    return stream;
  }

  async #readAnswers(stream: Stream): Promise<void> {
    const reader = readStream(stream, { frameTimeout: this.#init.frameTimeout });
    try {
      for (;;) {
        const body = await reader.readFrame();
        if (body === undefined) break;
        const answer = controlAnswers.decode(body);
        if (answer === undefined) throw new AgentError('PEER_PROTOCOL', 'not a control answer');
        // An id that nobody waits for: the asker has left.
        this.#outstanding.get(answer.id)?.resolve(answer);
      }
      stream.abort(new Error('the peer ended the control stream'));
    } catch (error) {
      const garbage = error instanceof AgentError && error.code === 'PEER_PROTOCOL';
      stream.abort(error as Error);
      if (garbage) this.#components.onGarbage();
    } finally {
      reader.detach();
      if (this.#stream === stream) this.#stream = undefined;
      this.#fail(new AgentError('PEER_UNREACHABLE', 'the control stream broke'));
    }
  }

  #fail(error: AgentError): void {
    for (const { reject } of this.#outstanding.values()) reject(error);
  }
}
