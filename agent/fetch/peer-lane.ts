import { hash } from 'node:crypto';
import { type ChunkMap, chunkHash } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import { AgentError, isAgentError } from '../errors.ts';
import { withDeadline } from './deadline.ts';
import type { Holder, Partial } from './ports.ts';

/** Chunks one blob has under way at most: on the wire, being verified, being written, so that nobody waits for another. */
const MOST_LANES = 4;

/** And at least, however many blobs there are: one on the wire while the other is verified and written. */
const LEAST_LANES = 2;

/** Chunks under way in all, as far as the least allows: each is a buffer of a chunk. */
const LANES_IN_ALL = 16;

/** How many chunks one of `blobs` blobs on their way may have under way. */
export function lanesFor(blobs: number): number {
  return Math.max(LEAST_LANES, Math.min(MOST_LANES, Math.floor(LANES_IN_ALL / blobs)));
}

/**
 * The longest a chunk may take in all, so that a byte a second is no way to hold a pull; time in which our own limit
 * held chunks back does not count. Milliseconds.
 */
const CHUNK_DEADLINE = 20_000;

interface PeerTake {
  readonly partial: Partial;
  readonly holder: Holder;
  readonly map: ChunkMap;
  /** The next missing chunk that is not among those taken. */
  next(taken: ReadonlySet<number>): number | undefined;
  /** How many chunks may be under way now; what is under way ends in its own time. */
  lanes(): number;
  /** Milliseconds, in all so far, in which a limit of our own held back what is taken from peers. */
  heldBack(): number;
  readonly signal: AbortSignal;
}

/**
 * Takes every missing chunk from one peer, matching each to the map before it is written and marked.
 * @throws AgentError DIGEST_MISMATCH for a chunk that is not what the map says, PEER_… where the peer fails
 */
export async function takeFromPeer(take: PeerTake, marked: (index: number) => void): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([take.signal, failed.signal]);
  const taken = new Set<number>();
  let underWay = 0;
  const lane = async (number: number) => {
    // One buffer a lane, not one a chunk: what V8 must find out to be garbage costs more than what it held.
    const buffer = Buffer.allocUnsafeSlow(take.map.layout.chunkSize);
    while (number < take.lanes()) {
      signal.throwIfAborted();
      const index = take.next(taken);
      if (index === undefined) return;
      taken.add(index);
      underWay += 1;
      try {
        await takeChunk(take, index, buffer, signal);
      } catch (error) {
        // A holder that serves fewer at a time than we have lanes: the others go on, and take this chunk too.
        if (underWay === 1 || !isAgentError(error, 'PEER_BUSY')) throw error;
        taken.delete(index);
        return;
      } finally {
        underWay -= 1;
      }
      marked(index);
    }
  };
  const lanes = Array.from({ length: take.lanes() }, (_, number) =>
    lane(number).catch((error) => {
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(lanes);
  // The first failure, not the aborts that followed from it.
  if (failed.signal.aborted) throw failed.signal.reason;
}

async function takeChunk(take: PeerTake, index: number, buffer: Buffer, signal: AbortSignal): Promise<void> {
  const { partial, holder, map } = take;
  const length = chunkLength(map.layout, index);
  const into = buffer.subarray(0, length);
  const fetched = (inner: AbortSignal) => holder.chunk(index, length, inner, into);
  const bytes = await withDeadline(signal, CHUNK_DEADLINE, 'a chunk', fetched, take.heldBack);
  // In this thread: 0.8 ms a chunk, where another thread would cost a copy of it.
  const sha256 = hash('sha256', bytes, 'buffer');
  if (Buffer.compare(sha256, chunkHash(map, index)) !== 0) {
    throw new AgentError(
      'DIGEST_MISMATCH',
      `chunk ${index} of ${map.digest} from peer ${holder.peer} (${holder.address}) does not match its hash`,
    );
  }
  // What has arrived and matches is kept, also where another lane has failed meanwhile.
  await partial.write(chunkStart(map.layout, index), bytes);
  await partial.mark(index, sha256, 'peer');
}
