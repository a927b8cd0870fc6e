import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChunkMap, chunkHash } from '../../protocol/chunk-map.ts';
import { type ChunkLayout, chunkLength } from '../../protocol/chunks.ts';
import type { Buffers } from './buffers.ts';
import type { ArrivedChunk } from './in-flight.ts';
import type { GivenChunk, Holder } from './ports.ts';

/** How long everything else is left for it: less than its way takes on a slow line, whose time is its own. ms */
const ALONE = 20;

/** How much later the map is asked for: answering it would hold up a holder that is about to read the chunk. ms */
const MAP_AFTER = 1;

/** A chunk that was asked for before anything else was. */
export interface EarlyChunk {
  readonly peer: string;
  readonly index: number;
  /** A chunk's buffer, which {@link given} fills. The claimant's. */
  readonly buffer: Uint8Array;
  /** The chunk, unverified. @throws what {@link Holder.chunk} throws, and the reason of `signal` once that fires */
  given(signal: AbortSignal): Promise<GivenChunk>;
}

/**
 * The chunk that a client waits for is asked of a holder as soon as one is known, together with the chunk map, and for a
 * few milliseconds nothing else is done for the blob: not a file is opened. The client sees its first byte that much
 * sooner, once the chunk has matched the map. Kept it is later, like any other. One chunk of a blob, one holder, once.
 */
export class HeadStart {
  readonly #layout: ChunkLayout;
  readonly #index: number;
  readonly #buffers: Buffers;
  readonly #onMatched: (chunk: ArrivedChunk) => void;
  readonly #end = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  #asked: EarlyChunk | undefined;
  #isOver = false;

  /**
   * @param index the chunk
   * @param onMatched told of it once it has matched its holder's map, unless it came too late for anybody to wait for it
   */
  constructor(layout: ChunkLayout, index: number, buffers: Buffers, onMatched: (chunk: ArrivedChunk) => void) {
    this.#layout = layout;
    this.#index = index;
    this.#buffers = buffers;
    this.#onMatched = onMatched;
  }

  /** Asks `holder` for it, unless somebody was asked. @param map asks for what the holder says the chunks are */
  ask(holder: Pick<Holder, 'peer' | 'chunk'>, map: () => Promise<ChunkMap>): void {
    if (this.#isOver || this.#asked !== undefined || this.#layout.count === 0) return;
    const buffer = this.#buffers.take();
    const length = chunkLength(this.#layout, this.#index);
    const chunk = holder
      .chunk(this.#index, length, this.#end.signal, buffer.subarray(0, length))
      .then(({ sha256, ...given }) => ({ ...given, sha256: sha256 ?? hash('sha256', given.bytes, 'buffer') }));
    this.#asked = {
      peer: holder.peer,
      index: this.#index,
      buffer,
      given: (signal) => this.#until(chunk, signal),
    };
    void this.#match(holder.peer, chunk, map);
  }

  /** Resolves when it has matched, failed, or had its time; at once where nobody was asked for what a client could see. */
  async settled(): Promise<void> {
    // The last chunk waits for the whole digest, whoever vouches for it.
    if (this.#asked === undefined || this.#index === this.#layout.count - 1) return;
    const timer = setTimeout(() => this.#over.resolve(), ALONE);
    await this.#over.promise;
    clearTimeout(timer);
    // What is here goes to the client before anything else is done.
    await new Promise(setImmediate);
  }

  /** What was asked for: its claimant's from now on, and nothing else is asked for any more. Undefined where nothing was. */
  claim(): EarlyChunk | undefined {
    if (this.#isOver) return undefined;
    this.#isOver = true;
    return this.#asked;
  }

  /** It is of no more use: nobody waits any more, or the chunk was there. What was claimed is its claimant's to end. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#end.abort(new Error('of no more use'));
  }

  async #match(
    peer: string,
    chunk: Promise<{ bytes: Uint8Array; sha256: Uint8Array }>,
    map: () => Promise<ChunkMap>,
  ): Promise<void> {
    try {
      const [{ bytes, sha256 }, said] = await Promise.all([chunk, sleep(MAP_AFTER).then(map)]);
      const isWhole = bytes.length === chunkLength(this.#layout, this.#index);
      // Whoever waits for it is told of nothing else: that it does not match is found out where it is to be kept.
      if (this.#isOver || !isWhole || Buffer.compare(sha256, chunkHash(said, this.#index)) !== 0) return;
      this.#onMatched({ bytes, sha256, source: 'peer', voucher: peer });
    } catch {
      // Its claimant hears of it, and whoever adopts the map.
    } finally {
      this.#over.resolve();
    }
  }

  async #until(chunk: Promise<GivenChunk>, signal: AbortSignal): Promise<GivenChunk> {
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => {
      this.#end.abort(signal.reason);
      reject(signal.reason);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    try {
      return await Promise.race([chunk, ended]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
