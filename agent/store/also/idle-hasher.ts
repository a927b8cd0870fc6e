import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { HashThread } from '../hash-thread.ts';
import type { Entry } from './entries.ts';
import type { Ledger } from './ledger.ts';
import { verify } from './verify.ts';

/** What is read of others' files at most, so that neither disk nor a core is taken from who works there. Bytes a second. */
const RATE = 64 * 1024 * 1024;

/** How often it is looked whether the agent has come to rest. Milliseconds. */
const LOOK_EVERY = 250;

/**
 * A file that changed less long ago may still be written to: it waits. The kernel's clock for files ticks every few
 * milliseconds, so a change right behind the hash could not be seen in a file that is younger. Milliseconds.
 */
const SETTLED = 1_000;

export interface IdleHasherComponents {
  readonly ledger: Ledger;
  readonly thread: HashThread;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Whether somebody is served, or content is on its way: then nothing is hashed. */
  isBusy(): boolean;
}

/** Hashes what waits for it, one file at a time, while the agent has nothing else to do. */
export class IdleHasher {
  readonly #components: IdleHasherComponents;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #wake = Promise.withResolvers<void>();

  constructor(components: IdleHasherComponents) {
    this.#components = components;
    this.#running = this.#run();
  }

  /** Something waits. */
  wake(): void {
    this.#wake.resolve();
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('no longer hashing'));
    this.#wake.resolve();
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { ledger } = this.#components;
    const { signal } = this.#closing;
    /** How many in a row were put off: with all of them put off there is nothing to do for a while. */
    let putOff = 0;
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers();
      const entry = ledger.next();
      if (entry === undefined) {
        await this.#wake.promise;
        putOff = 0;
        continue;
      }
      try {
        const isDone = await this.#hash(entry);
        putOff = isDone ? 0 : putOff + 1;
        if (!isDone) ledger.later(entry);
        if (putOff > ledger.waiting) await delay(LOOK_EVERY, undefined, { signal, ref: false });
      } catch (error) {
        if (signal.aborted) return;
        const { code } = error as NodeJS.ErrnoException;
        // It went before its turn came; its follower takes it off the list.
        if (code !== 'ENOENT') this.#refuse(entry, error instanceof Error ? error.message : String(error));
        else ledger.gone(entry.place, entry.digest);
      }
    }
  }

  /** @returns whether it waits no longer */
  async #hash(entry: Entry): Promise<boolean> {
    const { ledger, thread, now } = this.#components;
    if (Math.abs(now() - Number(entry.stamp.ctime / 1_000_000n)) < SETTLED) return false;
    await this.#pace(0);
    const startedAt = now();
    const file = await entry.place.source.open(entry.digest);
    try {
      const outcome = await verify(entry, file, thread, (bytes) => this.#pace(bytes));
      if (outcome === undefined) this.#refuse(entry, 'it is not what its name says');
      else if (outcome !== 'changed') ledger.verified(entry, outcome, startedAt);
      else {
        const stamp = await entry.place.source.look(entry.digest);
        if (stamp === undefined) ledger.gone(entry.place, entry.digest);
        else ledger.found(entry.place, { digest: entry.digest, stamp });
      }
    } finally {
      await file.close();
    }
    return true;
  }

  #refuse(entry: Entry, why: string): void {
    const { ledger, logger } = this.#components;
    if (!ledger.refuse(entry)) return;
    logger.warn({ digest: entry.digest, path: entry.place.source.root, why }, 'a file of store.also is not used');
  }

  /** Waits until nothing else is to be done, and for as long as so many bytes take. */
  async #pace(bytes: number): Promise<void> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    if (bytes > 0) await delay((bytes / RATE) * 1000, undefined, { signal, ref: false });
    while (this.#components.isBusy()) await delay(LOOK_EVERY, undefined, { signal, ref: false });
  }
}
