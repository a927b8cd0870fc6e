import type { ChunkLayout } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';

/** Where a chunk came from. */
export type Source = 'upstream' | 'peer';

/** A blob that is held whole and was verified. */
export interface HeldBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** As upstream gave it; null for what is no manifest. */
  readonly mediaType: string | null;
}

/** A blob on its way. Written by one owner; what is marked may be read by any number at once. */
export interface Partial {
  readonly digest: Digest;
  readonly layout: ChunkLayout;
  /** Source of a marked chunk; undefined where the chunk is not marked. */
  sourceOf(index: number): Source | undefined;
  /** SHA-256 of a marked chunk. */
  hashOf(index: number): Uint8Array | undefined;
  /** Number of marked chunks. */
  readonly marked: number;
  /**
   * Writes bytes at a position; marks nothing. `bytes` may be used again once this has resolved.
   * @throws Error where a chunk it touches is marked: the whole's hash has passed over it
   */
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** Records that chunk `index` is written whole and has this SHA-256, which the caller has checked. */
  mark(index: number, sha256: Uint8Array, source: Source): Promise<void>;
  /** Forgets chunks. */
  unmark(indexes: Iterable<number>): Promise<void>;
  /** Bytes that were written; in `into` where it is given. */
  read(position: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** With every chunk marked: matches the whole, then fsync, rename, index. @throws AgentError DIGEST_MISMATCH */
  commit(mediaType: string | null): Promise<HeldBlob>;
  /** Lets go of it; what is marked stays on disk. After a commit or discard: nothing. */
  close(): Promise<void>;
  /** Lets go of it and removes it. */
  discard(): Promise<void>;
}
