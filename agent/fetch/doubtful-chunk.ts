import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import { AgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import type { Partial, Upstream } from './ports.ts';
import { givesWay } from './repositories.ts';

export interface DoubtfulChunkComponents {
  readonly upstream: Pick<Upstream, 'getBlob'>;
  /** Where the blob may be asked for, best first. */
  readonly repositories: Repository[];
}

/** A chunk as upstream has it, of the first repository that gives it. @throws what the last one failed with */
export async function doubtfulChunk(
  { upstream, repositories }: DoubtfulChunkComponents,
  blob: Pick<Partial, 'digest' | 'layout'>,
  index: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  for (;;) {
    const repository = repositories[0] as Repository;
    try {
      return await fromRepository(upstream, repository, blob, index, signal);
    } catch (error) {
      if (signal.aborted || !givesWay(repositories, repository, error)) throw error;
    }
  }
}

async function fromRepository(
  upstream: DoubtfulChunkComponents['upstream'],
  repository: Repository,
  { digest, layout }: Pick<Partial, 'digest' | 'layout'>,
  index: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const start = chunkStart(layout, index);
  const length = chunkLength(layout, index);
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const chunk = Buffer.allocUnsafeSlow(length);
  let at = 0;
  try {
    const { body } = await upstream.getBlob(repository, digest, start, within, start + length);
    for await (const piece of body) {
      const part = piece.subarray(0, length - at);
      chunk.set(part, at);
      at += part.length;
      if (part.length < piece.length) break;
    }
  } finally {
    over.abort();
  }
  if (at < length) throw new AgentError('UPSTREAM_FAILED', `upstream sent ${at} bytes of a chunk of ${length}`);
  return chunk;
}
