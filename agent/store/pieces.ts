import { AgentError } from '../errors.ts';
import type { OpenFile } from './files.ts';

/** The first `length` bytes of `into` where it is that long; else memory of their own. */
export function roomIn(into: Uint8Array | undefined, length: number): Uint8Array {
  return into !== undefined && into.length >= length ? into.subarray(0, length) : Buffer.allocUnsafeSlow(length);
}

/** Fills `buffer` from `position` on. @returns the bytes read: fewer than asked only where the file ends */
export async function fill(handle: OpenFile, buffer: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Writes all of `bytes` at `position`: a single write may be short. */
export async function writeAll(handle: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, position + written);
    // Else a disk that takes nothing and says nothing would keep us here for ever.
    if (bytesWritten === 0) throw new AgentError('STORE_FAILING', 'the store cannot write: the system takes no bytes');
    written += bytesWritten;
  }
}

/**
 * The results of `tasks`, in order, each started while the one before is being used: disk and client work at once,
 * and no more than two results are in memory. Nothing runs any longer when the iteration has ended.
 */
export async function* aheadByOne<Result>(tasks: Iterable<() => Promise<Result>>): AsyncGenerator<Result> {
  let pending: Promise<Result> | undefined;
  try {
    for (const task of tasks) {
      const current = pending;
      pending = task();
      // Awaited below; until then a failure must not count as unhandled.
      pending.catch(() => {});
      if (current !== undefined) yield await current;
    }
    if (pending !== undefined) yield await pending;
  } finally {
    await pending?.catch(() => {});
  }
}
