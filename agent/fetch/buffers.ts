/**
 * Buffers of one size that are used again: what V8 must find out to be garbage costs more than what it held. In memory that
 * threads share, so that whoever brings a chunk may write it there from another.
 */
export class Buffers {
  /** Of each. Bytes. */
  readonly size: number;
  readonly #free: Uint8Array[] = [];
  readonly #kept: number;
  readonly #onMade: () => void;

  /**
   * @param size of each, bytes
   * @param kept how many are kept for later
   * @param onMade told of each that is made, there being none to be used again
   */
  constructor(size: number, kept: number, onMade: () => void = () => {}) {
    this.size = size;
    this.#kept = kept;
    this.#onMade = onMade;
  }

  take(): Uint8Array {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#onMade();
    return Buffer.from(new SharedArrayBuffer(this.size));
  }

  /** Gives one back that nobody writes to or reads any more. */
  giveBack(buffer: Uint8Array): void {
    if (this.#free.length < this.#kept) this.#free.push(buffer);
  }
}
