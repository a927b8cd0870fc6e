import { createHash, type Hash } from 'node:crypto';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import { AgentError } from '../errors.ts';
import type { Partial, UpstreamBlob } from './ports.ts';

interface UpstreamTake {
  readonly partial: Partial;
  /** The chunk to start with. */
  readonly from: number;
  /** The chunk to stop before. */
  readonly to: number;
  open(offset: number, end: number | undefined, signal: AbortSignal): Promise<UpstreamBlob>;
  readonly signal: AbortSignal;
}

interface UpstreamProgress {
  /** Bytes came. */
  received(bytes: number): void;
  /** Bytes of a chunk that is not whole yet are written up to here. */
  streamed(to: number): void;
  marked(index: number, sha256: Uint8Array): void;
  /** Asked before each further chunk: whether it is still to be taken. */
  goesOn(index: number): boolean;
  /** The registry knows no parts: what was asked for comes with all the rest. */
  rangeless(): void;
}

/**
 * Takes chunks from upstream on one response, from `from` to before `to`, or until one that need not be taken. Where the
 * registry gives no parts, to before the blob's end.
 * @throws AgentError UPSTREAM_… or BLOB_UNKNOWN
 */
export async function takeFromUpstream(take: UpstreamTake, progress: UpstreamProgress): Promise<void> {
  // Ends the request on every way out, also where its body was not begun.
  const over = new AbortController();
  try {
    await follow(take, progress, AbortSignal.any([take.signal, over.signal]));
  } finally {
    over.abort();
  }
}

async function follow(take: UpstreamTake, progress: UpstreamProgress, signal: AbortSignal): Promise<void> {
  const { partial, from } = take;
  const { layout } = partial;
  const start = chunkStart(layout, from);
  const response = await take.open(start, take.to < layout.count ? chunkStart(layout, take.to) : undefined, signal);
  if (response.size !== undefined && response.size !== layout.size) {
    throw new AgentError(
      'UPSTREAM_FAILED',
      `upstream says ${partial.digest} has ${response.size} bytes, its manifest says ${layout.size}`,
    );
  }
  if (!response.isRanged) progress.rangeless();
  const to = response.isRanged ? take.to : layout.count;
  let index = from;
  let position = start;
  let hash: Hash = createHash('sha256');
  for await (const piece of response.body) {
    signal.throwIfAborted();
    progress.received(piece.length);
    for (let at = 0; at < piece.length; ) {
      // All is there, and the registry goes on.
      if (index >= to) return;
      const chunkEnd = chunkStart(layout, index) + chunkLength(layout, index);
      const part = piece.subarray(at, at + Math.min(piece.length - at, chunkEnd - position));
      hash.update(part);
      await partial.write(position, part);
      at += part.length;
      position += part.length;
      if (position < chunkEnd) {
        progress.streamed(position);
        continue;
      }
      const sha256 = hash.digest();
      await partial.mark(index, sha256, 'upstream');
      progress.marked(index, sha256);
      hash = createHash('sha256');
      index++;
      // The body's own end is waited for, so that its connection is there for the next part.
      if (index < to && (partial.sourceOf(index) !== undefined || !progress.goesOn(index))) return;
    }
  }
  if (index >= to) return;
  throw new AgentError(
    'UPSTREAM_FAILED',
    `upstream sent only ${position} of the ${layout.size} bytes of ${partial.digest}`,
  );
}
