import { randomBytes } from 'node:crypto';
import type { Stream } from '@libp2p/interface';
import { BODY_HEAD_LENGTH, encodeBodyHead, LANE_KEY_LENGTH, TICKET_LENGTH } from '../../../protocol/bulk.ts';
import { encodeFrame } from '../../../protocol/frame.ts';
import { laneAnswers, laneRequests } from '../../../protocol/messages.ts';
import { AgentError } from '../../errors.ts';
import { readStream } from '../stream/reader.ts';
import { sendDrained } from '../stream/sink.ts';
import { type StallWatch, watchStall } from '../stream/stall.ts';
import { sharedBytes, sharedCopy } from './shared.ts';
import type { SharedBytes } from './thread/messages.ts';
import type { BulkThread } from './thread.ts';

export interface LaneHoldersComponents {
  readonly thread: BulkThread;
  /** The port peers reach; undefined where none is listened on. */
  port(): Promise<number | undefined>;
  /** Whether the peer is connected by libp2p too. */
  isNeighbour(peer: string): boolean;
}

export interface LaneHoldersInit {
  /** ms after which a peer that takes no bytes has stalled. */
  readonly stallTimeout: number;
}

/** The lanes that peers have opened to this agent, one a peer. */
export class LaneHolders {
  readonly #components: LaneHoldersComponents;
  readonly #init: LaneHoldersInit;
  readonly #lanes = new Map<string, OutgoingLane>();

  constructor(components: LaneHoldersComponents, init: LaneHoldersInit) {
    this.#components = components;
    this.#init = init;
  }

  /** The peer's lane; undefined where it has none. */
  of(peer: string): OutgoingLane | undefined {
    return this.#lanes.get(peer);
  }

  /** Answers a peer that asks for a lane. @throws AgentError PEER_PROTOCOL, PEER_STALLED, PEER_UNREACHABLE */
  async serve(stream: Stream, peer: string, signal: AbortSignal): Promise<void> {
    const { stallTimeout } = this.#init;
    const reader = readStream(stream, { frameTimeout: stallTimeout });
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(stallTimeout)]);
      const body = await reader.readFrame(within);
      if (body === undefined) return;
      if (laneRequests.decode(body) === undefined) throw new AgentError('PEER_PROTOCOL', 'not a wish for a lane');
      await sendDrained(stream, encodeFrame(laneAnswers.encode(await this.#offer(peer))), stallTimeout, within);
      await stream.close({ signal: within });
    } finally {
      reader.detach();
    }
  }

  /** To be called for each connection that a ticket has opened. The one before it is the peer's no longer. */
  joined(connection: number, peer: string): void {
    this.#lanes.get(peer)?.close('the peer has opened another');
    const lane = new OutgoingLane(this.#components.thread, connection, this.#init.stallTimeout, () => {
      if (this.#lanes.get(peer) === lane) this.#lanes.delete(peer);
    });
    this.#lanes.set(peer, lane);
    // Nobody would tell of its leaving a second time.
    if (!this.#components.isNeighbour(peer)) lane.close('the peer is gone');
  }

  /** The peer is gone, and what it opened goes too. */
  left(peer: string): void {
    this.#lanes.get(peer)?.close('the peer is gone');
  }

  async #offer(peer: string) {
    const port = await this.#components.port();
    if (port === undefined) return { type: 'none' } as const;
    const [ticket, key] = [randomBytes(TICKET_LENGTH), randomBytes(LANE_KEY_LENGTH)];
    try {
      await this.#components.thread.expect(ticket.toString('hex'), key, peer);
    } catch {
      return { type: 'none' } as const;
    }
    return { type: 'lane', port, ticket, key } as const;
  }
}

interface Sending {
  resolve(): void;
  reject(error: AgentError): void;
}

/** A peer's lane, on which the chunks go that it asks this agent for. */
export class OutgoingLane {
  readonly #thread: BulkThread;
  readonly #connection: number;
  readonly #stallTimeout: number;
  readonly #sending = new Map<number, Sending>();
  #watch: StallWatch | undefined;
  #failure: AgentError | undefined;
  #isClosed = false;
  #last = 0;
  /** Resolves once all of the body before has been handed to the thread. */
  #turn: Promise<void> = Promise.resolve();

  constructor(thread: BulkThread, connection: number, stallTimeout: number, onClosed: () => void) {
    this.#thread = thread;
    this.#connection = connection;
    this.#stallTimeout = stallTimeout;
    thread.follow(connection, {
      moved: (bytes) => this.#watch?.progress(bytes),
      sent: (id) => this.#settle(id),
      closed: (reason) => {
        this.#isClosed = true;
        onClosed();
        this.#failure ??= new AgentError('PEER_UNREACHABLE', `the bulk lane ended: ${reason}`);
        for (const id of [...this.#sending.keys()]) this.#settle(id, this.#failure);
      },
    });
  }

  /**
   * Sends a body of `length` bytes, head and all, in pieces as they are given; nothing else goes between them. Resolves
   * when their memory may be overwritten.
   * @param onSent told of the bytes of each piece that the kernel has
   * @throws AgentError PEER_UNREACHABLE, PEER_STALLED; what `pieces` throws. Then too their memory may be overwritten
   */
  async send(length: number, pieces: AsyncIterable<Uint8Array>, onSent: (bytes: number) => void): Promise<void> {
    const before = this.#turn;
    const { promise, resolve: pass } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    let left = length;
    try {
      for await (const piece of pieces) {
        const sent = this.#post(sharedBytes(piece) ?? sharedCopy(piece));
        left -= piece.length;
        // The next body is behind it in the thread's queue: it need not wait until this one has gone.
        if (left === 0) pass();
        await sent;
        onSent(piece.length);
      }
    } finally {
      // It was announced, and whoever reads would take the next for the rest of it.
      if (left > 0) this.close('a body did not come to its end');
      pass();
    }
  }

  #post(bytes: SharedBytes): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#sending.set(id, { resolve, reject });
    this.#watch ??= watchStall(this.#stallTimeout, () => this.#stalled());
    this.#thread.send(this.#connection, id, bytes);
    return promise;
  }

  close(reason: string): void {
    // After the thread's death its number may be another's.
    if (!this.#isClosed) this.#thread.end(this.#connection, reason);
  }

  #settle(id: number, failure?: AgentError): void {
    const sending = this.#sending.get(id);
    this.#sending.delete(id);
    if (this.#sending.size === 0) {
      this.#watch?.stop();
      this.#watch = undefined;
    }
    if (failure === undefined) sending?.resolve();
    else sending?.reject(failure);
  }

  #stalled(): void {
    this.#failure = new AgentError('PEER_STALLED', `the peer took next to nothing for ${this.#stallTimeout} ms`);
    this.close('stalled');
  }
}

/** The head of a body, as it stands before the body's first byte. */
export function bodyHead(tag: number, length: number): Uint8Array {
  const head = new Uint8Array(BODY_HEAD_LENGTH);
  encodeBodyHead({ tag, length }, head);
  return head;
}
