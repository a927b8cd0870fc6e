import { hash } from 'node:crypto';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Partial } from './ports.ts';

/** How long who sends a blob may send nothing. Milliseconds. */
const STALL = 30_000;

/** Writes all of a blob, chunk by chunk. @throws AgentError IMPORT_REFUSED where it has another size */
export async function write(partial: Partial, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const { digest, layout } = partial;
  const buffer = Buffer.allocUnsafeSlow(Math.min(layout.chunkSize, layout.size));
  let index = 0;
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (index >= layout.count) throw refused(digest, `it has more than ${layout.size} bytes`);
      const length = chunkLength(layout, index);
      const part = piece.subarray(at, at + length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < length) continue;
      const chunk = buffer.subarray(0, length);
      await partial.write(chunkStart(layout, index), chunk);
      // `peer`: nobody has vouched for it. What is left of it after a crash must not be taken for upstream's.
      await partial.mark(index, hash('sha256', chunk, 'buffer'), 'peer');
      index += 1;
      filled = 0;
    }
  }
  if (index < layout.count) throw refused(digest, `it has fewer than ${layout.size} bytes`);
}

/** The body, for as long as something comes. @throws AgentError IMPORT_REFUSED where nothing does */
export async function* lively(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { promise: over, reject } = Promise.withResolvers<never>();
      const onAbort = () => reject(signal.reason);
      const timer = setTimeout(() => reject(new AgentError('IMPORT_REFUSED', 'nothing more of it came')), STALL);
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
      try {
        const next = await Promise.race([iterator.next(), over]);
        if (next.done) return;
        yield next.value;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      }
    }
  } finally {
    // It may itself wait for what never comes.
    void iterator.return?.()?.then(undefined, () => {});
  }
}

/** What is told of a blob that is not taken in. */
export function refused(digest: Digest, why: string, cause?: unknown): AgentError {
  return new AgentError('IMPORT_REFUSED', `${digest} is refused: ${why}`, { cause });
}
