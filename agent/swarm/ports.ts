import type { Digest } from '../../protocol/digest.ts';

/** What this agent holds and gives to peers. The store implements it by shape. */
export interface Holdings {
  /** Size and chunk map root (hex) of a blob held whole; undefined where it is not, or is not for peers. */
  held(digest: Digest): HeldDescription | undefined;
  /** The encoded chunk map of a held blob, as protocol/chunk-map.ts encodes it. */
  chunkMapOf(digest: Digest): Uint8Array | undefined;
  /**
   * One chunk of a held blob, as good as when it was verified (a recheck that is due happens inside). Undefined where
   * the blob is not held, has no such chunk, or turned out to be rotten.
   */
  chunk(digest: Digest, index: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Held blobs, the most recently used first, `limit` at most. */
  recent(limit: number): Digest[];
  /** Calls back when a blob is held from now on. Returns what unsubscribes. */
  onHold(listener: (digest: Digest) => void): () => void;
  /** Calls back when a blob is gone. Returns what unsubscribes. */
  onDrop(listener: (digest: Digest) => void): () => void;
}

export interface HeldDescription {
  readonly size: number;
  readonly root: string;
}

/** What a peer did wrong; see reputation.ts for what each weighs. */
export type Offence = 'lied' | 'missing' | 'stalled' | 'garbage';
