import type { FileHandle } from 'node:fs/promises';
import type { Digest } from '../../../protocol/digest.ts';
import type { Stamp } from '../stamp.ts';

/** A file that goes by the name of a digest. Nobody has looked yet whether it is what its name says. */
export interface Found {
  readonly digest: Digest;
  /** Its size is in it. */
  readonly stamp: Stamp;
}

/** Somebody else's content, read and never written. What comes and goes there is not asked of anybody here. */
export interface Source {
  /** Where it lies. Names it in the index and in the log. */
  readonly root: string;
  /**
   * Everything that is there.
   * @throws what the file system says where it is not there at all, or not for this agent; what `signal` was aborted with
   */
  list(signal: AbortSignal): AsyncIterable<Found>;
  /** How one file looks now; undefined where there is none. */
  look(digest: Digest): Promise<Stamp | undefined>;
  /** @throws what the file system says */
  open(digest: Digest): Promise<FileHandle>;
  /**
   * Tells what may have come, changed or gone, sooner or later and perhaps not everything; `all` where it cannot say
   * what. A full {@link list} now and then is the truth. @returns what ends it
   */
  watch(tell: (what: Digest | 'all') => void): () => void;
}
