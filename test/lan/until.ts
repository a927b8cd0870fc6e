import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilInit {
  /** Milliseconds. */
  readonly timeout: number;
  /** Milliseconds between two looks. @default 100 */
  readonly every?: number;
}

/**
 * Looks until `look` gives something, and gives that.
 * @throws Error that names `what`, with the last error of `look`, where the time is up
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  init: UntilInit,
): Promise<Exclude<T, false | undefined | null>> {
  const deadline = performance.now() + init.timeout;
  for (;;) {
    let last: unknown;
    try {
      const found = await look();
      if (found !== false && found !== undefined && found !== null)
        return found as Exclude<T, false | undefined | null>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`waited ${init.timeout} ms until ${what}`, { cause: last });
    await sleep(init.every ?? 100);
  }
}
