import type { OnReadOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { Bodies } from './bodies.ts';
import type { FromThread, ToThread } from './messages.ts';
import { TLS } from './tls.ts';

/** One buffer a lane, which TLS decrypts into: as much as one read of the socket gives. Bytes. */
const READ_SIZE = 64 * 1024;

/** How often it is told that bytes move. ms */
const TELL_EVERY = 250;

export interface InboundComponents {
  tell(message: FromThread): void;
  /** See {@link Bodies}. */
  catchUp(): void;
  onClosed(): void;
}

/** A lane that this agent opened: the bodies of the chunks it asked for come here. Owns its socket. */
export class Inbound {
  readonly #lane: number;
  readonly #socket: TLSSocket;
  readonly #bodies: Bodies;
  readonly #tell: (message: FromThread) => void;
  readonly #timer: NodeJS.Timeout;
  #moved = 0;
  #isPaused = false;
  #reason = 'the peer closed it';
  #isGarbage = false;

  constructor(dial: Extract<ToThread, { kind: 'dial' }>, { tell, catchUp, onClosed }: InboundComponents) {
    const { lane, host, port, localAddress, ticket, key, timeout } = dial;
    this.#lane = lane;
    this.#tell = tell;
    this.#bodies = new Bodies((tag, sha256) => tell({ kind: 'taken', lane, tag, sha256 }), catchUp);
    const options: ConnectionOptions & { onread: OnReadOpts } = {
      ...TLS,
      host,
      port,
      ...(localAddress === undefined ? {} : { localAddress }),
      pskCallback: () => ({ psk: key, identity: ticket }),
      // There is no certificate, and so no name in it: who has the key is who was told it.
      checkServerIdentity: () => undefined,
      onread: { buffer: Buffer.allocUnsafeSlow(READ_SIZE), callback: (length, buffer) => this.#read(length, buffer) },
    };
    this.#socket = connect(options);
    const late = setTimeout(() => this.close(`${host} port ${port} did not open within ${timeout} ms`), timeout);
    this.#timer = setInterval(() => this.#tellMoved(), TELL_EVERY);
    this.#timer.unref();
    this.#socket.setNoDelay(true);
    this.#socket.once('secureConnect', () => {
      clearTimeout(late);
      tell({ kind: 'open', lane });
    });
    this.#socket.on('error', (error) => {
      this.#reason = error.message;
    });
    // What the holder ends is over: this side never sends.
    this.#socket.on('end', () => this.#socket.destroy());
    this.#socket.once('close', () => {
      clearTimeout(late);
      clearInterval(this.#timer);
      tell({ kind: 'closed', which: lane, reason: this.#reason, isGarbage: this.#isGarbage });
      onClosed();
    });
  }

  take({ tag, into, allowed }: Extract<ToThread, { kind: 'take' }>): void {
    try {
      this.#bodies.add(tag, into, allowed);
    } catch (error) {
      this.close((error as Error).message);
      return;
    }
    this.#readOn();
  }

  allow(bytes: number): void {
    this.#bodies.allow(bytes);
    this.#readOn();
  }

  abandon(tag: number): void {
    this.#bodies.abandon(tag);
  }

  cancel(tag: number): void {
    this.#bodies.cancel(tag);
  }

  close(reason: string): void {
    this.#reason = reason;
    this.#socket.destroy();
  }

  #readOn(): void {
    if (!this.#isPaused || this.#bodies.isHeld) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /** @returns whether to read on at once */
  #read(length: number, buffer: Uint8Array): boolean {
    this.#moved += length;
    try {
      this.#bodies.feed(buffer.subarray(0, length));
    } catch (error) {
      this.#isGarbage = true;
      this.close((error as Error).message);
      return false;
    }
    if (this.#bodies.isHeld) this.#isPaused = true;
    // What TLS has decrypted by then comes although the socket is paused, and may be the end of what is held.
    else this.#readOn();
    return !this.#isPaused;
  }

  #tellMoved(): void {
    if (this.#moved > 0) this.#tell({ kind: 'moved', which: this.#lane, bytes: this.#moved });
    this.#moved = 0;
  }
}
