import { Worker } from 'node:worker_threads';
import type { Algorithm } from '../../protocol/digest.ts';

/** What the thread is asked. `state` names one running hash. */
export type HashJob =
  | {
      readonly kind: 'feed';
      state: number;
      algorithm: Algorithm;
      fd: number;
      start: number;
      end: number;
      /** Whether the SHA-256 of the stretch itself is wanted too. */
      isSummed: boolean;
    }
  | { readonly kind: 'sum'; state: number; algorithm: Algorithm; end: number }
  | { readonly kind: 'drop'; state: number };

interface Answer {
  readonly job: number;
  readonly sum?: Uint8Array;
  readonly error?: string;
}

/**
 * A thread that hashes stretches of open files. The bytes never cross a thread: it reads them itself, by the
 * descriptor, out of the page cache they were just written to.
 */
export interface HashThread {
  /**
   * Hashes on with the bytes from `start`, where the state stands, to before `end`. `fd` must stay open until it has
   * resolved.
   */
  feed(state: number, algorithm: Algorithm, fd: number, start: number, end: number): Promise<void>;
  /** The same. @returns the SHA-256 of the stretch alone, made in the same read */
  feedSummed(state: number, algorithm: Algorithm, fd: number, start: number, end: number): Promise<Uint8Array>;
  /** The hash of the first `end` bytes, which were fed; more may be fed after it. */
  sum(state: number, algorithm: Algorithm, end: number): Promise<Uint8Array>;
  drop(state: number): void;
  /** What is under way fails. */
  close(): Promise<void>;
}

/**
 * All the thread needs is a buffer and a few messages; by default V8 lets their garbage grow to some 30 MiB before it
 * looks at it.
 */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };

/**
 * Runs in the thread. Its source is taken from the function itself, so that no file has to lie beside a bundle:
 * it must use nothing from outside its own braces.
 */
function run(): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { readSync } = process.getBuiltinModule('node:fs');
  const port = parentPort!;
  const states = new Map<number, { hash: ReturnType<typeof createHash>; fed: number }>();
  const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
  port.on('message', ({ id, job }: { id: number; job: HashJob }) => {
    try {
      if (job.kind === 'drop') {
        states.delete(job.state);
        return;
      }
      const running = states.get(job.state) ?? { hash: createHash(job.algorithm), fed: 0 };
      states.set(job.state, running);
      // A thread that was replaced has lost its states: a hash over less than was asked would accuse honest bytes.
      if (running.fed !== (job.kind === 'sum' ? job.end : job.start)) throw new Error('the running hash was lost');
      if (job.kind === 'sum') {
        port.postMessage({ job: id, sum: new Uint8Array(running.hash.copy().digest()) });
        return;
      }
      const stretch = job.isSummed ? createHash('sha256') : undefined;
      for (let at = job.start; at < job.end; ) {
        const read = readSync(job.fd, buffer, 0, Math.min(buffer.length, job.end - at), at);
        if (read === 0) throw new Error(`the file ends at ${at}`);
        running.hash.update(buffer.subarray(0, read));
        stretch?.update(buffer.subarray(0, read));
        at += read;
        running.fed = at;
      }
      port.postMessage({ job: id, sum: stretch && new Uint8Array(stretch.digest()) });
    } catch (error) {
      port.postMessage({ job: id, error: String(error) });
    }
  });
}

/** A thread that is started by its first job and does not keep the process alive by itself. */
export function createHashThread(): HashThread {
  return new LazyHashThread();
}

interface Waiter {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

class LazyHashThread implements HashThread {
  readonly #waiting = new Map<number, Waiter>();
  #worker: Worker | undefined;
  #lastJob = 0;

  async feed(state: number, algorithm: Algorithm, fd: number, start: number, end: number): Promise<void> {
    await this.#ask({ kind: 'feed', state, algorithm, fd, start, end, isSummed: false });
  }

  async feedSummed(state: number, algorithm: Algorithm, fd: number, start: number, end: number): Promise<Uint8Array> {
    return (await this.#ask({ kind: 'feed', state, algorithm, fd, start, end, isSummed: true })).sum!;
  }

  async sum(state: number, algorithm: Algorithm, end: number): Promise<Uint8Array> {
    return (await this.#ask({ kind: 'sum', state, algorithm, end })).sum!;
  }

  drop(state: number): void {
    this.#worker?.postMessage({ id: 0, job: { kind: 'drop', state } });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
    this.#fail(new Error('the hash thread was closed'));
  }

  #ask(job: HashJob): Promise<Answer> {
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#lastJob;
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) worker.ref();
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, job });
    });
  }

  #start(): Worker {
    // Without execArgv the thread would inherit flags meant for the process (`--test`, `--import`).
    const worker = new Worker(`(${run.toString()})()`, {
      eval: true,
      execArgv: [],
      name: 'layerlan-hash',
      resourceLimits: THREAD_LIMITS,
    });
    worker.unref();
    worker.on('message', (answer: Answer) => {
      const waiter = this.#waiting.get(answer.job);
      this.#waiting.delete(answer.job);
      if (this.#waiting.size === 0) worker.unref();
      if (answer.error === undefined) waiter?.resolve(answer);
      else waiter?.reject(new Error(answer.error));
    });
    // A thread that dies takes its states along; whoever waits starts over in the next one. It tells of its end twice:
    // the second time must not fail what the next one was asked.
    const died = (why: Error) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#fail(why);
    };
    worker.on('error', died);
    worker.on('exit', () => died(new Error('the hash thread ended')));
    return worker;
  }

  #fail(why: Error): void {
    for (const waiter of this.#waiting.values()) waiter.reject(why);
    this.#waiting.clear();
  }
}
