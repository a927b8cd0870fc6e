import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, or throws the signal's own reason as soon as it fires (node's sleep throws another error). */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}
