import type { Algorithm } from '../../protocol/digest.ts';
import type { HashThread } from './hash-thread.ts';

/** The most that is hashed at a time, so that several blobs share the thread fairly. Bytes. */
const SLICE = 8 * 1024 * 1024;

/** States are named across all blobs of a process: they may share a thread. */
let lastState = 0;

/**
 * The hash over a whole blob that keeps up with its marks: it runs behind the stretch from 0 that is marked without
 * a gap, so that when the last chunk of a blob that came in order is marked, next to nothing is left to hash.
 */
export class WholeHash {
  readonly #thread: HashThread;
  readonly #algorithm: Algorithm;
  readonly #fd: number;
  #state = ++lastState;
  /** Bytes hashed into #state. */
  #fed = 0;
  /** Bytes that may be hashed. */
  #target = 0;
  #running: Promise<void> | undefined;
  #failure: unknown;
  #closed = false;

  /** @param fd stays open until {@link close} has resolved */
  constructor(thread: HashThread, algorithm: Algorithm, fd: number) {
    this.#thread = thread;
    this.#algorithm = algorithm;
    this.#fd = fd;
  }

  /** The bytes before `end` are final. Hashes on, beside everything else; a failure shows in {@link sum}. */
  extend(end: number): void {
    this.#target = end;
    if (this.#failure === undefined) this.#run();
  }

  /** The bytes from `end` on are no longer final. What was hashed of them cannot be taken out: it starts over. */
  rewind(end: number): void {
    this.#target = end;
    if (this.#running !== undefined || this.#fed > end) this.#restart();
    if (this.#failure === undefined) this.#run();
  }

  /** The hash of the first `end` bytes, all final. @throws what reading the file threw */
  async sum(end: number): Promise<Uint8Array> {
    try {
      return await this.#sum(end);
    } catch {
      // The thread may have died, and the state with it: once more, from the start, before anybody is blamed.
      this.#restart();
      return await this.#sum(end);
    }
  }

  /** Resolves when nothing reads the descriptor any more; nothing will. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#target = 0;
    await this.#running;
    this.#thread.drop(this.#state);
  }

  async #sum(end: number): Promise<Uint8Array> {
    this.#failure = undefined;
    this.extend(end);
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
    return await this.#thread.sum(this.#state, this.#algorithm, end);
  }

  #restart(): void {
    this.#thread.drop(this.#state);
    this.#state = ++lastState;
    this.#fed = 0;
  }

  #run(): void {
    if (this.#closed || this.#running !== undefined || this.#fed >= this.#target) return;
    this.#running = this.#feed();
  }

  /** Never rejects. */
  async #feed(): Promise<void> {
    while (!this.#closed && this.#fed < this.#target) {
      const state = this.#state;
      const end = Math.min(this.#fed + SLICE, this.#target);
      try {
        await this.#thread.feed(state, this.#algorithm, this.#fd, this.#fed, end);
        // A rewind in the meantime started another state.
        if (state === this.#state) this.#fed = end;
      } catch (error) {
        this.#restart();
        this.#failure = error;
        break;
      }
    }
    // At once, not in a later turn: an extend in between would believe it still runs.
    this.#running = undefined;
  }
}
