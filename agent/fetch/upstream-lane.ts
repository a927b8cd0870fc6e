import { createHash, type Hash } from 'node:crypto';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import { AgentError } from '../errors.ts';
import type { Partial, UpstreamBlob } from './ports.ts';

interface UpstreamTake {
  readonly partial: Partial;
  /** The chunk to start with. */
  readonly from: number;
  open(offset: number, signal: AbortSignal): Promise<UpstreamBlob>;
  /** Asked between chunks: whether somebody nearer can go on. */
  enough(): boolean;
  readonly signal: AbortSignal;
}

interface UpstreamProgress {
  /** Bytes of a chunk that is not whole yet are written up to here. */
  streamed(to: number): void;
  marked(index: number): void;
}

/**
 * Takes chunks from upstream on one response, from `from` until a chunk that is marked already, the end, or enough.
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
  const { partial } = take;
  const { layout } = partial;
  const start = chunkStart(layout, take.from);
  const response = await take.open(start, signal);
  if (response.size !== undefined && response.size !== layout.size) {
    throw new AgentError(
      'UPSTREAM_FAILED',
      `upstream says ${partial.digest} has ${response.size} bytes, its manifest says ${layout.size}`,
    );
  }
  let index = take.from;
  let position = start;
  let hash: Hash = createHash('sha256');
  for await (const piece of response.body) {
    signal.throwIfAborted();
    for (let at = 0; at < piece.length; ) {
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
      await partial.mark(index, hash.digest(), 'upstream');
      progress.marked(index);
      hash = createHash('sha256');
      index++;
      if (index === layout.count || partial.sourceOf(index) !== undefined || take.enough()) return;
    }
  }
  throw new AgentError(
    'UPSTREAM_FAILED',
    `upstream sent only ${position} of the ${layout.size} bytes of ${partial.digest}`,
  );
}
