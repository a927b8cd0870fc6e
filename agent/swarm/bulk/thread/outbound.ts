import type { TLSSocket } from 'node:tls';
import type { FromThread, SharedBytes } from './messages.ts';

/** How often it is told that bytes move. ms */
const TELL_EVERY = 250;

/** Bytes of one write: the more, the fewer calls; the fewer, the sooner it is known that a peer takes some. */
const WRITE_SIZE = 256 * 1024;

/** Of the first write of a body: the peer decrypts it while the next is encrypted here. Bytes. */
const FIRST_WRITE = 64 * 1024;

interface Sending {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** A peer's lane to this agent: the chunks it asked for go here, one after the other. Owns its socket. */
export class Outbound {
  readonly #connection: number;
  readonly #socket: TLSSocket;
  readonly #tell: (message: FromThread) => void;
  readonly #queue: Sending[] = [];
  readonly #timer: NodeJS.Timeout;
  #isSending = false;
  #moved = 0;
  #reason = 'the peer closed it';

  constructor(connection: number, socket: TLSSocket, tell: (message: FromThread) => void, onClosed: () => void) {
    this.#connection = connection;
    this.#socket = socket;
    this.#tell = tell;
    this.#timer = setInterval(() => this.#tellMoved(), TELL_EVERY);
    this.#timer.unref();
    socket.setNoDelay(true);
    // Whoever says anything here does not speak this protocol.
    socket.on('data', () => this.close('the peer said something'));
    socket.on('end', () => socket.destroy());
    socket.on('error', (error) => {
      this.#reason = error.message;
    });
    socket.once('close', () => {
      clearInterval(this.#timer);
      this.#queue.length = 0;
      tell({ kind: 'closed', which: connection, reason: this.#reason, isGarbage: false });
      onClosed();
    });
  }

  send(id: number, { memory, offset, length }: SharedBytes): void {
    this.#queue.push({ id, bytes: Buffer.from(memory, offset, length) });
    if (!this.#isSending) this.#next();
  }

  close(reason: string): void {
    this.#reason = reason;
    this.#socket.destroy();
  }

  #next(): void {
    const next = this.#queue.shift();
    this.#isSending = next !== undefined;
    if (next === undefined || this.#socket.destroyed) return;
    this.#write(next, 0);
  }

  /** Piece by piece: the next is encrypted once the kernel has the one before. */
  #write(sending: Sending, at: number): void {
    const piece = sending.bytes.subarray(at, at + (at === 0 ? FIRST_WRITE : WRITE_SIZE));
    const end = at + piece.length;
    this.#socket.write(piece, (error) => {
      // Closing is told by itself.
      if (error != null) return;
      this.#moved += piece.length;
      if (end < sending.bytes.length) return this.#write(sending, end);
      this.#tell({ kind: 'sent', connection: this.#connection, id: sending.id });
      this.#next();
    });
  }

  #tellMoved(): void {
    if (this.#moved > 0) this.#tell({ kind: 'moved', which: this.#connection, bytes: this.#moved });
    this.#moved = 0;
  }
}
