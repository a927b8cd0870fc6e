import { chunkStart } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { InFlight } from './in-flight.ts';
import type { Source } from './ports.ts';
import { releasedTo } from './release.ts';
import { isStoreFailure } from './store-failure.ts';

/** How many bytes are read back for a client at a time: enough to be fast, little enough for hundreds of clients. */
const READ_SIZE = 512 * 1024;

/** How long an acquisition goes on with nobody reading: a client that breaks off often comes back. Milliseconds. */
const LINGER = 5_000;

interface Reader {
  readonly start: number;
  position: number;
  /** It was shown bytes that turned out false. */
  misled: boolean;
  /** What the chunks that it was shown hashed to, where that was known by then. */
  readonly shown: Map<number, Uint8Array>;
}

/** What a reader was given: the bytes and where they came from. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly source: Source;
  /** What the chunk that they are of hashes to, where that is known. */
  readonly sha256?: Uint8Array | undefined;
}

/** A reader was shown bytes that turned out false: whatever it was given now, it would hold a wrong blob. */
export class MisledError extends AgentError {}

export interface ReadersInit {
  readonly digest: Digest;
  /** Milliseconds. */
  readonly holdFor: number;
  /** Whether a chunk that a peer sent may be shown to everybody before the whole has matched. */
  isReleased(index: number): boolean;
  /** Called when nobody has read for a while. */
  onAbandoned(): void;
}

/** Those who follow one blob on its way. */
export class Readers {
  readonly #blob: InFlight;
  readonly #init: ReadersInit;
  /** In the order they came. */
  readonly #readers = new Set<Reader>();
  #linger: NodeJS.Timeout | undefined;

  constructor(blob: InFlight, init: ReadersInit) {
    this.#blob = blob;
    this.#init = init;
    this.#startLinger();
  }

  /** Where the reader is that came first; undefined where nobody reads. */
  get first(): number | undefined {
    for (const { position } of this.#readers) return position;
    return undefined;
  }

  /**
   * The bytes from `start` to before `end` as they become free to be shown. A piece is overwritten once the next one is
   * asked for. Returns early, with the blob in the store, when it is complete: the caller reads the rest there.
   * @throws what the acquisition failed with; CONTENT_UNAVAILABLE where bytes shown so far were false
   */
  async *read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Piece, void> {
    const reader = this.#enter(start);
    const since = performance.now();
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, end - start));
    try {
      while (reader.position < end) {
        this.#assertNotMisled(reader);
        if (this.#isComplete(signal)) return;
        const heldFor = performance.now() - since;
        const limit = Math.min(end, this.#releasedTo(reader.position, heldFor));
        if (limit <= reader.position) {
          // At holdFor the same chunks are looked at again, more kindly.
          const held = this.#init.holdFor - heldFor;
          await this.#blob.change.next(signal, held > 0 ? held : undefined);
          continue;
        }
        const index = Math.floor(reader.position / this.#blob.layout.chunkSize);
        const sha256 = this.#blob.hashOf(index);
        const piece = await this.#blob.read(reader.position, limit, buffer, signal);
        // Replaced while it was read: nobody could say what it is that was read.
        if (piece === undefined || isOther(sha256, this.#blob.hashOf(index))) continue;
        if (sha256 !== undefined) this.#show(reader, index, sha256);
        this.#assertNotMisled(reader);
        reader.position += piece.bytes.length;
        yield { ...piece, sha256 };
      }
    } finally {
      this.#leave(reader);
    }
  }

  /** Waits until the blob is complete. @throws what the acquisition failed with, or the signal's reason */
  async whole(signal: AbortSignal): Promise<void> {
    const reader = this.#enter(0);
    try {
      while (!this.#isComplete(signal)) await this.#blob.change.next(signal);
    } finally {
      this.#leave(reader);
    }
  }

  /** Chunk `index` turned out false: who was shown it must end short, so that a resume gets good bytes. */
  mislead(index: number): void {
    const { layout } = this.#blob;
    const chunk = chunkStart(layout, index);
    for (const reader of this.#readers) {
      if (reader.position > chunk && reader.start < chunk + layout.chunkSize) reader.misled = true;
    }
  }

  /** Chunk `index` is kept as this: who was shown anything else of it must end short, too. */
  kept(index: number, sha256: Uint8Array): void {
    for (const reader of this.#readers) if (isOther(reader.shown.get(index), sha256)) reader.misled = true;
  }

  /** Ends the wait for new readers. */
  close(): void {
    clearTimeout(this.#linger);
  }

  /** Half of a chunk as it was before and half as it is now is not a chunk. */
  #show(reader: Reader, index: number, sha256: Uint8Array): void {
    if (isOther(reader.shown.get(index), sha256)) reader.misled = true;
    reader.shown.set(index, sha256);
  }

  /** The true rest of a blob, be it from the store or past it, does not mend what went before. */
  #assertNotMisled({ misled }: Reader): void {
    if (!misled) return;
    const { outcome } = this.#blob;
    const failure = outcome?.kind === 'failed' && isAgentError(outcome.error) ? outcome.error : undefined;
    if (failure !== undefined && !isStoreFailure(failure as unknown)) {
      throw new MisledError(failure.code, failure.message, { cause: failure });
    }
    throw new MisledError('CONTENT_UNAVAILABLE', `bytes of ${this.#init.digest} sent so far were false`);
  }

  #isComplete(signal: AbortSignal): boolean {
    signal.throwIfAborted();
    const { outcome } = this.#blob;
    if (outcome?.kind === 'failed') throw outcome.error;
    return outcome !== undefined;
  }

  #releasedTo(position: number, heldFor: number): number {
    const { layout, streamedTo } = this.#blob;
    const hasWaited = heldFor >= this.#init.holdFor;
    const isReleased = (index: number) => hasWaited || this.#init.isReleased(index);
    return releasedTo(
      { layout, streamedTo, isReleased, sourceOf: (index) => this.#blob.readableFrom(index) },
      position,
    );
  }

  #enter(start: number): Reader {
    const reader: Reader = { start, position: start, misled: false, shown: new Map() };
    this.#readers.add(reader);
    clearTimeout(this.#linger);
    return reader;
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size === 0 && this.#blob.outcome === undefined) this.#startLinger();
  }

  #startLinger(): void {
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.#init.onAbandoned(), LINGER);
  }
}

/** Whether both are known, and are not the same. */
function isOther(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one !== undefined && other !== undefined && Buffer.compare(one, other) !== 0;
}
