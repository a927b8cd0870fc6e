import { type ChunkLayout, chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Change } from './change.ts';
import type { Partial, Source } from './ports.ts';

/** The end of a blob on its way. */
export type Outcome = { readonly kind: 'complete' } | { readonly kind: 'failed'; readonly error: unknown };

/** A chunk that has matched and is being written. */
export interface ArrivedChunk {
  readonly bytes: Uint8Array;
  readonly sha256: Uint8Array;
  readonly source: Source;
  /** Whose word it rests on. */
  readonly voucher: string | undefined;
}

/** A blob on its way, as those who follow it see it: what is there, where it came from, how it ended. */
export class InFlight {
  readonly layout: ChunkLayout;
  readonly change: Change;
  /** Bytes by the peer or repository that sent them. */
  readonly bytesFrom = new Map<string, number>();
  /** Set once, at the end. */
  outcome: Outcome | undefined;
  /** The whole is being matched and put in its place: the partial may be let go of at any moment. */
  isCommitting = false;
  /** Where bytes from upstream end that are written but whose chunk is not whole yet. 0 for none. */
  #streamedTo = 0;
  #partial: Partial | undefined;
  #reading = 0;
  /** Outlives the partial: who reads on from the store still asks where the bytes came from. */
  readonly #sources: (Source | undefined)[] = [];
  readonly #vouchers: (string | undefined)[] = [];
  readonly #arrived = new Map<number, ArrivedChunk>();
  readonly #onKept: (index: number, sha256: Uint8Array) => void;

  /** @param onKept told what each chunk hashes to as it is kept */
  constructor(layout: ChunkLayout, change: Change, onKept: (index: number, sha256: Uint8Array) => void) {
    this.layout = layout;
    this.change = change;
    this.#onKept = onKept;
  }

  get streamedTo(): number {
    return this.#streamedTo;
  }

  /** From here on bytes can be read; chunks of an earlier run are there at once. */
  open(partial: Partial): void {
    this.#partial = partial;
    for (let index = 0; index < this.layout.count; index++) {
      this.#sources[index] = partial.sourceOf(index);
      this.#kept(index);
    }
  }

  sourceOf(index: number): Source | undefined {
    return this.#sources[index];
  }

  /** The same, of one that is still being written too: whoever waits for it may read it. */
  readableFrom(index: number): Source | undefined {
    return this.#sources[index] ?? this.#arrived.get(index)?.source;
  }

  /** The SHA-256 of a chunk that can be read. */
  hashOf(index: number): Uint8Array | undefined {
    return this.outcome === undefined ? (this.#partial?.hashOf(index) ?? this.#arrived.get(index)?.sha256) : undefined;
  }

  /** It can be read from memory until it is {@link written}: a client that waits for it sees it that much sooner. */
  arrived(index: number, chunk: ArrivedChunk): void {
    this.#arrived.set(index, chunk);
    this.change.notify();
  }

  /** Its memory is somebody else's again, whatever has become of it. */
  written(index: number): void {
    this.#arrived.delete(index);
  }

  /** @param voucher whose word a chunk from a peer rests on */
  marked(index: number, source: Source, from: string, voucher?: string): void {
    this.#sources[index] = source;
    this.#vouchers[index] = voucher;
    this.#kept(index);
    this.bytesFrom.set(from, (this.bytesFrom.get(from) ?? 0) + chunkLength(this.layout, index));
    this.change.notify();
  }

  /** Whose word a chunk from a peer rests on; undefined where it is of an earlier run. */
  voucherOf(index: number): string | undefined {
    return this.#sources[index] === undefined ? this.#arrived.get(index)?.voucher : this.#vouchers[index];
  }

  forget(index: number): void {
    this.#sources[index] = undefined;
    this.#vouchers[index] = undefined;
    this.#arrived.delete(index);
  }

  streamed(to: number): void {
    this.#streamedTo = to;
    this.change.notify();
  }

  end(outcome: Outcome): void {
    this.outcome = outcome;
    this.change.notify();
  }

  /**
   * Bytes from `position` to at most `limit`, in `buffer`, of one chunk; undefined where the blob came to its end
   * meanwhile.
   */
  async read(
    position: number,
    limit: number,
    buffer: Uint8Array,
    signal: AbortSignal,
  ): Promise<{ bytes: Uint8Array; source: Source } | undefined> {
    if (this.outcome !== undefined) return undefined;
    const index = Math.floor(position / this.layout.chunkSize);
    const chunkEnd = chunkStart(this.layout, index) + chunkLength(this.layout, index);
    const length = Math.min(limit, chunkEnd, position + buffer.length) - position;
    const arrived = this.#arrived.get(index);
    if (arrived !== undefined && this.#sources[index] === undefined) {
      const at = position - chunkStart(this.layout, index);
      buffer.set(arrived.bytes.subarray(at, at + length));
      return { bytes: buffer.subarray(0, length), source: arrived.source };
    }
    if (this.#partial === undefined) return undefined;
    this.#reading++;
    try {
      const bytes = await this.#partial.read(position, length, buffer);
      return { bytes, source: this.#sources[index] ?? 'upstream' };
    } catch (error) {
      if (!this.isCommitting) throw error;
      // A commit lets go of the partial before it has told of its end; what is left is then read from the store.
      if (this.outcome === undefined) await this.change.next(signal);
      return undefined;
    } finally {
      this.#reading--;
      if (this.outcome !== undefined) this.change.notify();
    }
  }

  #kept(index: number): void {
    const sha256 = this.#partial?.hashOf(index);
    if (sha256 !== undefined) this.#onKept(index, sha256);
  }

  /** Lets go of the partial once the last read of it is over. To be called after {@link end}. */
  async close(): Promise<void> {
    const never = new AbortController().signal;
    while (this.#reading > 0) await this.change.next(never);
    await this.#partial?.close();
  }
}
