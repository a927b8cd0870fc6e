/**
 * Buffers of one size that are used again: what V8 must find out to be garbage costs more than what it held. In memory that
 * threads share, so that whoever brings a chunk may write it there from another.
 */
export class Buffers {
  /** Of each. Bytes. */
  readonly size: number;
  readonly #free: Uint8Array[] = [];
  readonly #kept: number;

  /**
   * @param size of each, bytes
   * @param kept how many are kept for later
   */
  constructor(size: number, kept: number) {
    this.size = size;
    this.#kept = kept;
  }

  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(this.size));
  }

  /** Gives one back that nobody writes to or reads any more. */
  giveBack(buffer: Uint8Array): void {
    if (this.#free.length < this.#kept) this.#free.push(buffer);
  }
}
