import { sharedBuffer } from '../bulk/shared.ts';

/** Before a chunk there is room for its answer's frame: the longest, with a mark, has some 200 bytes. */
const HEAD_ROOM = 512;

/**
 * Buffers that chunks are read into, used again and again. A fresh MiB for each chunk makes V8 look through the whole
 * heap every few chunks, and that costs as much as reading and sending them.
 */
export class ChunkBuffers {
  readonly #size: number;
  readonly #kept: number;
  readonly #onMade: () => void;
  readonly #free: ChunkBuffer[] = [];

  /**
   * @param size the longest chunk that has room in one, bytes
   * @param kept how many are kept for later; who takes more at a time makes garbage
   * @param onMade told of each that is made, there being none to be used again
   */
  constructor(size: number, kept: number, onMade: () => void = () => {}) {
    this.#size = size;
    this.#kept = kept;
    this.#onMade = onMade;
  }

  take(): ChunkBuffer {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#onMade();
    return new ChunkBuffer(this.#size);
  }

  /**
   * Gives one back that nobody writes to or reads any more. Not one whose send failed: what libp2p has queued of a
   * stream that was reset may still go, and would go with another chunk's bytes.
   */
  giveBack(buffer: ChunkBuffer): void {
    if (this.#free.length < this.#kept) this.#free.push(buffer);
  }
}

/** Memory for one chunk and the frame before it. */
export class ChunkBuffer {
  readonly #memory: Uint8Array;
  /** Where a chunk is read to. */
  readonly room: Uint8Array;

  constructor(size: number) {
    this.#memory = sharedBuffer(HEAD_ROOM + size);
    this.room = this.#memory.subarray(HEAD_ROOM);
  }

  /** `head` and right behind it `piece`: without a copy where `piece` is the start of {@link room}. */
  join(head: Uint8Array, piece: Uint8Array): Uint8Array {
    const { buffer, byteOffset } = this.room;
    if (piece.buffer !== buffer || piece.byteOffset !== byteOffset || head.length > HEAD_ROOM) {
      return Buffer.concat([head, piece]);
    }
    const start = HEAD_ROOM - head.length;
    this.#memory.set(head, start);
    return this.#memory.subarray(start, HEAD_ROOM + piece.length);
  }
}
