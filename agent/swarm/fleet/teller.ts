import type { Stream } from '@libp2p/interface';
import type { FleetMessage } from '../../../protocol/messages.ts';
import type { ControlClient } from '../control/client.ts';
import { createOutbox, type Outbox } from './outbox.ts';

/** After a control stream that did not open, nothing is told for so long: opening costs more than what it is for. ms */
const REOPEN_AFTER = 1_000;

/** The most that is sent at once, but for a single message: one message of the Noise stream. Bytes. */
const MAX_PIECE = 60 * 1024;

/** Tells one neighbour of the blobs that are taken together, on this agent's control stream to it. */
export interface Teller {
  /**
   * Sends `frame`, which is `message`: before this turn of the event loop is over where the stream is open and idle, in
   * one piece with what else is told in it; otherwise as soon as the neighbour takes it, behind what waits already. What
   * it does not take is dropped in time (outbox.ts).
   */
  tell(message: FleetMessage, frame: Uint8Array): void;
  stop(): void;
}

export interface TellerComponents {
  readonly control: Pick<ControlClient, 'stream' | 'open'>;
  /** Monotonic, ms. */
  now(): number;
}

export function createTeller(components: TellerComponents): Teller {
  return new ControlTeller(components);
}

/**
 * A message goes without a timer or a closure of its own, and what is told in one turn goes together: nearly all that a
 * message costs, at both ends, is its way through yamux, Noise and the kernel.
 */
class ControlTeller implements Teller {
  readonly #components: TellerComponents;
  readonly #outbox: Outbox = createOutbox();
  /** The stream whose drains this listens to. */
  #stream: Stream | undefined;
  #isOpening = false;
  #isFlushing = false;
  #refusedUntil = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  constructor(components: TellerComponents) {
    this.#components = components;
  }

  tell(message: FleetMessage, frame: Uint8Array): void {
    if (this.#isStopped) return;
    this.#outbox.add(message, frame);
    this.#flushSoon();
  }

  stop(): void {
    this.#isStopped = true;
    this.#outbox.clear();
    this.#stream?.removeEventListener('drain', this.#onDrain);
    this.#stream = undefined;
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    if (this.#isStopped || this.#outbox.size === 0) return;
    const { stream } = this.#components.control;
    if (stream === undefined) {
      this.#open();
      return;
    }
    if (stream !== this.#stream) {
      this.#stream?.removeEventListener('drain', this.#onDrain);
      stream.addEventListener('drain', this.#onDrain);
      this.#stream = stream;
    }
    try {
      // Nothing behind unsent bytes: a state that waits here can still be replaced by a newer one.
      while (!stream.writableNeedsDrain && stream.writeBufferLength === 0) {
        const piece = this.#outbox.take(MAX_PIECE);
        if (piece === undefined) return;
        stream.send(piece);
      }
    } catch {
      // The stream has just broken; what it was to take is told again, on another.
      this.#outbox.clear();
    }
  };

  /** The stream itself sends what it has left a microtask after its drain, and that goes first. */
  readonly #onDrain = (): void => {
    if (this.#outbox.size > 0) this.#flushSoon();
  };

  #open(): void {
    if (this.#isOpening) return;
    const { control, now } = this.#components;
    if (now() < this.#refusedUntil) {
      this.#outbox.clear();
      return;
    }
    this.#isOpening = true;
    control.open().then(
      () => {
        this.#isOpening = false;
        this.#flushSoon();
      },
      () => {
        this.#isOpening = false;
        this.#refusedUntil = now() + REOPEN_AFTER;
        this.#outbox.clear();
      },
    );
  }
}
