import { type ChunkLayout, chunkLength } from '../../protocol/chunks.ts';
import type { Buffers } from './buffers.ts';
import type { Holders } from './holders.ts';
import type { GivenChunk } from './ports.ts';

/** A chunk that was asked for early. */
export interface EarlyChunk {
  /** A chunk's buffer, which is the claimant's from now on; {@link given} fills it. */
  readonly buffer: Uint8Array;
  /** The chunk, unverified. @throws what {@link Holder.chunk} throws, and the reason of `signal` once that fires */
  given(signal: AbortSignal): Promise<GivenChunk>;
}

interface Asked {
  readonly peer: string;
  readonly buffer: Uint8Array;
  readonly chunk: Promise<GivenChunk>;
}

/**
 * The chunk that a client waits for is asked of the first holder that is found, while the partial is still being opened
 * and the chunk map is on its way: the client sees its first byte a few milliseconds sooner. It is verified like any other,
 * when the rules come to ask that holder for it. One chunk of a blob, one holder, once.
 */
export class HeadStart {
  readonly #index: number;
  readonly #length: number;
  readonly #buffers: Buffers;
  readonly #end = new AbortController();
  #asked: Asked | undefined;
  #isOver = false;

  /** @param index the chunk */
  constructor(layout: ChunkLayout, index: number, buffers: Buffers) {
    this.#index = index;
    this.#length = chunkLength(layout, index);
    this.#buffers = buffers;
  }

  /** Somebody may have been found. */
  consider(holders: Pick<Holders, 'best'>): void {
    if (this.#asked !== undefined || this.#isOver || this.#length === 0) return;
    const [holder] = holders.best()?.holders ?? [];
    if (holder === undefined) return;
    const buffer = this.#buffers.take();
    const chunk = holder.chunk(this.#index, this.#length, this.#end.signal, buffer.subarray(0, this.#length));
    // Whoever claims it hears of it.
    chunk.catch(() => {});
    this.#asked = { peer: holder.peer, buffer, chunk };
  }

  /** What was asked of `peer` is its claimant's from now on; undefined where it was not asked, or has been claimed. */
  claim(peer: string, index: number): EarlyChunk | undefined {
    const asked = this.#asked;
    if (this.#isOver || asked?.peer !== peer || index !== this.#index) return undefined;
    this.#isOver = true;
    return {
      buffer: asked.buffer,
      given: async (signal) => {
        const onAbort = (): void => this.#end.abort(signal.reason);
        if (signal.aborted) onAbort();
        signal.addEventListener('abort', onAbort);
        try {
          return await asked.chunk;
        } finally {
          signal.removeEventListener('abort', onAbort);
        }
      },
    };
  }

  /** It is of no more use: the chunk is here, or nobody waits any more. What was claimed is its claimant's to end. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#end.abort(new Error('there already'));
  }
}
