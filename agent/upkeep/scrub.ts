import type { Logger } from 'pino';
import { briefly } from '../errors.ts';
import { CHECK_EVERY, checkedUntil } from './due.ts';
import type { Inspection } from './ports.ts';

/** What it reads: 20 GiB in three quarters of an hour, and a tenth of what one spinning disk gives. Bytes a second. */
export const SCRUB_RATE = 8 * 1024 * 1024;

/** It leaves an agent alone that has just started. Milliseconds. */
const START_AFTER = 60_000;

/** How often it looks whether anything has come to be due. Milliseconds. */
const LOOK_EVERY = 10 * 60_000;

/** How often it looks whether pulls have ended. Milliseconds. */
const BUSY_EVERY = 500;

/** Where pulls never end it reads a piece all the same, this long after the last. Milliseconds. */
const PATIENCE = 10_000;

export interface ScrubComponents {
  readonly inspection: Inspection;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Waits so many milliseconds. @throws the signal's reason */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Looks for rot behind everything else: what was checked longest ago comes first, so that it goes on after a restart
 * where it was. Slow, and slower while somebody pulls.
 */
export class Scrub {
  readonly #components: ScrubComponents;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;

  constructor(components: ScrubComponents) {
    this.#components = components;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the agent stops'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { sleep, logger } = this.#components;
    const { signal } = this.#stopped;
    try {
      await sleep(START_AFTER, signal);
      for (;;) {
        await this.#pass(signal);
        await sleep(LOOK_EVERY, signal);
      }
    } catch (error) {
      if (!signal.aborted) logger.error(briefly(error), 'the search for rot has ended');
    }
  }

  /** Everything that is due now. */
  async #pass(signal: AbortSignal): Promise<void> {
    const { inspection, logger, now } = this.#components;
    let checked = 0;
    let rotten = 0;
    for await (const { digest } of checkedUntil(inspection, now() - CHECK_EVERY)) {
      signal.throwIfAborted();
      try {
        await this.#pace(0, signal);
        const found = await inspection.check(digest, (bytes) => this.#pace(bytes, signal), signal);
        if (found !== 'gone') checked += 1;
        if (found === 'rotten') rotten += 1;
      } catch (error) {
        signal.throwIfAborted();
        // The next pass tries it again.
        logger.warn({ digest, ...briefly(error) }, 'a held blob cannot be checked');
      }
    }
    if (checked > 0) logger.info({ checked, rotten }, 'what is held was searched for rot');
  }

  /** After so many bytes were read. */
  async #pace(bytes: number, signal: AbortSignal): Promise<void> {
    const { inspection, sleep } = this.#components;
    await sleep((1000 * bytes) / SCRUB_RATE, signal);
    for (let waited = 0; waited < PATIENCE && inspection.isBusy(); waited += BUSY_EVERY) {
      await sleep(BUSY_EVERY, signal);
    }
  }
}
