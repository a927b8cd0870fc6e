import type { Digest } from '../../protocol/digest.ts';
import type { Mark } from '../../protocol/mark.ts';
import type { FleetMessage } from '../../protocol/messages.ts';
import type { AskedTag, SignedTag } from '../../protocol/tag-record.ts';

/** What this agent holds and gives to peers. The store implements it by shape. */
export interface Holdings {
  /** Size and chunk map root (hex) of a blob held whole; undefined where it is not, or is not for peers. */
  held(digest: Digest): HeldDescription | undefined;
  /** The encoded chunk map of a held blob, as protocol/chunk-map.ts encodes it. */
  chunkMapOf(digest: Digest): Uint8Array | undefined;
  /**
   * One chunk of a held blob, as good as when it was verified (a recheck that is due happens inside). Undefined where
   * the blob is not held, has no such chunk, or turned out to be rotten. It is read into `into` where that is long
   * enough, and is its start; nobody writes to `into` any more once this has resolved.
   */
  chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined>;
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

/** Who on this host takes part in the fleet's exchange; agent/fetch/ports.ts has the contract. None of it may throw. */
export interface Attendant {
  came(neighbour: { readonly peer: string; readonly address: string }): void;
  left(peer: string): void;
  heard(peer: string, message: FleetMessage): void;
  /**
   * A chunk of a blob on its way, that was verified as it arrived; undefined where it is not there. In `into` as with
   * {@link Holdings.chunk}.
   */
  chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined>;
  /** Who vouches for a chunk; undefined where that is nobody. */
  mark(digest: Digest, index: number): Mark | undefined;
}

/** Who on this host tells peers what tags are; agent/fetch/ports.ts has the contract. It may not throw. */
export type TagTeller = (asked: AskedTag) => SignedTag | undefined;

/** What a peer did wrong; see reputation.ts for what each weighs. */
export type Offence = 'lied' | 'missing' | 'stalled' | 'garbage';
