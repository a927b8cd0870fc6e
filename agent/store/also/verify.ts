import type { FileHandle } from 'node:fs/promises';
import { CHUNK_HASH_LENGTH, type ChunkMap, chunkMap } from '../../../protocol/chunk-map.ts';
import { chunkLength, chunkStart, layoutOf } from '../../../protocol/chunks.ts';
import { algorithmOf, toDigest } from '../../../protocol/digest.ts';
import type { HashThread } from '../hash-thread.ts';
import { sameStamp, stampOf } from '../stamp.ts';
import type { Entry } from './entries.ts';

/** A state of the hash thread for each file: they are hashed one after the other. */
let lastState = 0;

/**
 * Hashes a file once, whole and by chunks: both from the same read, or a file that changes in between could have the
 * right digest and a false chunk map.
 * @param pace is asked before each chunk of so many bytes; when it resolves, the chunk may be read
 * @returns the chunk map; undefined where the file is not what its name says; `changed` where it was written to meanwhile
 * @throws what reading it threw; what `pace` throws
 */
export async function verify(
  { digest, stamp }: Pick<Entry, 'digest' | 'stamp'>,
  file: FileHandle,
  thread: HashThread,
  pace: (bytes: number) => Promise<void>,
): Promise<ChunkMap | 'changed' | undefined> {
  const looksAsFound = async () => {
    const stats = await file.stat({ bigint: true });
    return stats.isFile() && sameStamp(stampOf(stats), stamp);
  };
  if (!(await looksAsFound())) return 'changed';
  const layout = layoutOf(Number(stamp.size));
  const algorithm = algorithmOf(digest);
  const hashes = new Uint8Array(layout.count * CHUNK_HASH_LENGTH);
  const state = ++lastState;
  try {
    for (let index = 0; index < layout.count; index++) {
      const start = chunkStart(layout, index);
      const end = start + chunkLength(layout, index);
      await pace(end - start);
      hashes.set(await thread.feedSummed(state, algorithm, file.fd, start, end), index * CHUNK_HASH_LENGTH);
    }
    const found = toDigest(algorithm, await thread.sum(state, algorithm, layout.size));
    if (!(await looksAsFound())) return 'changed';
    return found === digest ? chunkMap(digest, layout.size, hashes) : undefined;
  } finally {
    thread.drop(state);
  }
}
