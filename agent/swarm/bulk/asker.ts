import type { Connection } from '@libp2p/interface';
import { encodeFrame } from '../../../protocol/frame.ts';
import { type LaneAnswer, laneAnswers, laneRequests } from '../../../protocol/messages.ts';
import { BULK_PROTOCOL } from '../../../protocol/names.ts';
import { AgentError, isAgentError } from '../../errors.ts';
import type { Throttle } from '../../limits/throttle.ts';
import { hostOf } from '../address.ts';
import { readStream } from '../stream/reader.ts';
import { type Body, Lane } from './lane.ts';
import { RetryPause } from './retry-pause.ts';
import type { SharedBytes } from './thread/messages.ts';
import type { BulkThread } from './thread.ts';

/** A lane that nobody used for so long is closed. ms */
const IDLE_TIME = 60_000;

/** How long a lane may take to open: a firewall that drops packets says nothing. ms */
const OPEN_TIMEOUT = 5_000;

/**
 * Below this limit of what comes from peers no lane is used: it would save next to nothing, and the holder's system takes
 * so much into its buffers at once that a peer which reads slowly looks as if it did not read. Bytes a second.
 */
const LEAST_RATE = 1024 * 1024;

/**
 * Whether chunks of a peer come by a lane: `off` here, `unused` none was wanted lately, `refused` the peer has none, or why
 * there is none.
 */
export type LaneState = 'off' | 'unused' | 'opening' | 'open' | 'refused' | `failed: ${string}`;

export interface AskerComponents {
  readonly thread: BulkThread;
  readonly download: Throttle;
  /** The connection to the holder; undefined where it is gone. */
  connection(): Connection | undefined;
  /** Told of the bytes of each body that came. */
  onTaken(bytes: number): void;
  /** The peer sent what no lane carries. */
  onGarbage(): void;
}

export interface AskerInit {
  readonly stallTimeout: number;
  /** The address to connect from, where it matters. */
  readonly localAddress: string | undefined;
}

/** Sees to a lane to one holder: opened when chunks are wanted, closed when none are, tried again when it has failed. */
export class LaneAsker {
  readonly #components: AskerComponents;
  readonly #init: AskerInit;
  readonly #ending = new AbortController();
  readonly #listeners = new Set<(bytes: number) => void>();
  #lane: Lane | undefined;
  #state: LaneState = 'unused';
  #isAsking = false;
  readonly #retry = new RetryPause();
  #idle: NodeJS.Timeout | undefined;

  constructor(components: AskerComponents, init: AskerInit) {
    this.#components = components;
    this.#init = init;
  }

  get state(): LaneState {
    return this.#state;
  }

  /** Room for a body on the lane; undefined where there is none now: then one is asked for, and nobody waits for it. */
  take(into: SharedBytes): Body | undefined {
    const { rate } = this.#components.download;
    if (rate !== undefined && rate < LEAST_RATE) return undefined;
    const lane = this.#lane;
    if (lane?.isOpen !== true) {
      this.#ask();
      return undefined;
    }
    this.#rest();
    return lane.take(into);
  }

  /** Tells of bytes that come by the lane. @returns what ends it */
  onProgress(listener: (bytes: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#ending.abort(new Error('the peer is gone'));
    this.#lane?.close('the peer is gone');
  }

  #ask(): void {
    if (this.#isAsking || this.#lane !== undefined || this.#ending.signal.aborted) return;
    if (!this.#retry.mayTry(performance.now())) return;
    const connection = this.#components.connection();
    if (connection === undefined) return;
    this.#isAsking = true;
    this.#state = 'opening';
    this.#open(connection)
      .catch((error: unknown) => {
        if (isAgentError(error, 'PEER_PROTOCOL')) this.#components.onGarbage();
        this.#failed(error instanceof Error ? error.message : String(error));
      })
      .finally(() => {
        this.#isAsking = false;
      });
  }

  async #open(connection: Connection): Promise<void> {
    const answer = await askForLane(connection, this.#init.stallTimeout, this.#ending.signal);
    if (answer === undefined || answer.type === 'none') {
      this.#failed('refused');
      this.#state = 'refused';
      return;
    }
    this.#ending.signal.throwIfAborted();
    const host = hostOf(connection.remoteAddr);
    // Without a host it is the loopback interface that would be connected to.
    if (host === '') throw new AgentError('PEER_UNREACHABLE', 'the peer has no address');
    const { thread, download } = this.#components;
    this.#lane = new Lane(
      {
        thread,
        download,
        onTaken: (bytes) => {
          this.#retry.worked();
          this.#components.onTaken(bytes);
        },
        onOpen: () => {
          this.#state = 'open';
          this.#rest();
        },
        onMoved: (bytes) => {
          for (const listener of [...this.#listeners]) listener(bytes);
        },
        onClosed: (reason, isGarbage) => {
          clearTimeout(this.#idle);
          this.#lane = undefined;
          if (isGarbage) this.#components.onGarbage();
          if (reason === IDLE) this.#state = 'unused';
          else this.#failed(reason);
        },
      },
      {
        ...this.#init,
        openTimeout: OPEN_TIMEOUT,
        host,
        port: answer.port,
        ticket: Buffer.from(answer.ticket).toString('hex'),
        key: answer.key,
      },
    );
  }

  #failed(reason: string): void {
    this.#state = `failed: ${reason}`;
    this.#retry.failed(performance.now());
  }

  /** Counts from now on until the lane is idle for too long. */
  #rest(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#lane?.isIdle === false) this.#rest();
      else this.#lane?.close(IDLE);
    }, IDLE_TIME).unref();
  }
}

const IDLE = 'idle';

/** The peer's answer; undefined where it knows of no lanes. @throws AgentError PEER_STALLED, PEER_PROTOCOL, PEER_UNREACHABLE */
async function askForLane(
  connection: Connection,
  timeout: number,
  ending: AbortSignal,
): Promise<LaneAnswer | undefined> {
  const signal = AbortSignal.any([ending, AbortSignal.timeout(timeout)]);
  const stream = await connection.newStream([BULK_PROTOCOL], { signal }).catch((error: unknown) => {
    if (error instanceof Error && error.name === 'UnsupportedProtocolError') return undefined;
    throw error;
  });
  if (stream === undefined) return undefined;
  const reader = readStream(stream, { frameTimeout: timeout });
  try {
    stream.send(encodeFrame(laneRequests.encode({ type: 'lane' })));
    const body = await reader.readFrame(signal);
    const answer = body && laneAnswers.decode(body);
    if (answer === undefined) throw new AgentError('PEER_PROTOCOL', 'not an answer to who wants a lane');
    return answer;
  } finally {
    reader.detach();
    stream.abort(new Error('asked and answered'));
  }
}
