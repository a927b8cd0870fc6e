import type { ChunkMap } from '../../protocol/chunk-map.ts';
import type { ChunkLayout } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { Mark } from '../../protocol/mark.ts';
import type { FleetMessage } from '../../protocol/messages.ts';
import type { AskedTag, SignedTag } from '../../protocol/tag-record.ts';
import type { Descriptor } from '../oci/manifest.ts';
import type { Repository } from '../oci/reference.ts';
import type { Anonymous } from './privacy/ports.ts';

/** Where a chunk came from: it decides when a client may see it before the whole has matched. */
export type Source = 'upstream' | 'peer';

/** A blob that is held whole and was verified. */
export interface HeldBlob {
  readonly digest: Digest;
  readonly size: number;
  /** As upstream gave it; null for what is no manifest. */
  readonly mediaType: string | null;
}

/** Verified content on disk, and blobs on their way there. */
export interface Store {
  /** undefined where the blob is not held. */
  find(digest: Digest): HeldBlob | undefined;
  /**
   * The bytes from `start` to before `end`, in pieces. Where a recheck is due (the file is not as recorded, or
   * `store.recheck` has passed) each piece is checked before it is yielded. A piece is overwritten once the next one is
   * asked for.
   * @throws AgentError BLOB_ROTTEN where a piece is not what it was; the blob is dropped by then, and what is still
   *   good of it is kept as a partial
   */
  read(digest: Digest, start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * The blob's one partial, with the chunks that still match their record. One caller at a time holds it.
   */
  openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial>;
  /** Takes in content that is whole in memory (a manifest). Verifies it. @throws AgentError DIGEST_MISMATCH */
  put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob>;
  /** Remembers sizes that verified manifests gave. */
  rememberDescriptors(descriptors: readonly Descriptor[]): void;
  /** The size a verified manifest gave for this digest. */
  sizeOf(digest: Digest): number | undefined;
  /**
   * From now on this digest is not for peers, whether it is held already or comes to be: it is neither told of nor given.
   * To be called before anything of it is written; it outlasts the process, and ends when the blob is removed.
   * @param registry the one that it is private for; of what is private for two neither may say that it is not
   * @throws where that cannot be noted; then nothing of it may be kept
   */
  keepPrivate(digest: Digest, registry: string): void;
  isPrivate(digest: Digest): boolean;
  /** What a peer is told of a held blob; undefined where it is not held, or not for peers. */
  held(digest: Digest): { readonly size: number; readonly root: string } | undefined;
  /** The one registry that it is private for; undefined where it is not, where they are several or it is not known. */
  privateOf(digest: Digest): string | undefined;
  /** Peers may have it after all: what is held of it is told of again. @throws where that cannot be noted */
  disclose(digest: Digest): void;
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
  /** Writes bytes at a position; marks nothing. `bytes` may be used again once this has resolved. */
  write(position: number, bytes: Uint8Array): Promise<void>;
  /** Records that chunk `index` is written whole and has this SHA-256. */
  mark(index: number, sha256: Uint8Array, source: Source): Promise<void>;
  /** Forgets chunks: they will be fetched again. */
  unmark(indexes: Iterable<number>): Promise<void>;
  /** Bytes that were written; in `into` where it is given. */
  read(position: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * With every chunk marked: matches the whole against the digest, then fsync, rename, index.
   * @throws AgentError DIGEST_MISMATCH where the whole does not match; the partial stays as it was
   */
  commit(mediaType: string | null): Promise<HeldBlob>;
  /** Lets go of it; what is marked stays on disk for the next owner. After a commit or discard: nothing. */
  close(): Promise<void>;
  /** Lets go of it and removes it. */
  discard(): Promise<void>;
}

/** The registries behind the mirror. Every wait in it ends by a stall time-out of its own or by `signal`. */
export interface Upstream {
  /**
   * Whether what this repository's registry answers may be for those alone who have the configured credentials. Known
   * before anything is asked; `withCredentials` tells of one answer, and is never true where this is false.
   */
  mayBePrivate(repository: Repository): boolean;
  /** The same registries without any credentials. */
  readonly anonymous: Anonymous;
  /** HEAD of a manifest by tag or digest. @throws AgentError UPSTREAM_… or MANIFEST_UNKNOWN */
  headManifest(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<ManifestHead>;
  /** GET of a manifest, bounded by MAX_MANIFEST_SIZE; a digest is for the caller to check. @throws like headManifest */
  getManifest(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<ManifestBody>;
  /** HEAD of a blob. @throws AgentError UPSTREAM_… or BLOB_UNKNOWN */
  headBlob(repository: Repository, digest: Digest, signal: AbortSignal): Promise<{ size: number }>;
  /**
   * A blob's bytes from `offset` to its end, or to before `end`: a registry without Range support sends the rest all
   * the same, and who asked leaves. A body that breaks or stalls is resumed inside, at the byte; what cannot
   * be resumed throws from the iteration. Ending the iteration early closes the connection's request.
   * @throws AgentError UPSTREAM_… or BLOB_UNKNOWN
   */
  getBlob(
    repository: Repository,
    digest: Digest,
    offset: number,
    signal: AbortSignal,
    end?: number,
  ): Promise<UpstreamBlob>;
  /** A page of a repository's tags. @throws AgentError UPSTREAM_… or NAME_UNKNOWN */
  listTags(repository: Repository, query: string, signal: AbortSignal): Promise<TagsPage>;
  /**
   * A page of what refers to a manifest.
   * @throws AgentError UPSTREAM_…, or MANIFEST_UNKNOWN where the registry does not know of referrers
   */
  listReferrers(repository: Repository, digest: Digest, query: string, signal: AbortSignal): Promise<ReferrersPage>;
}

/** A page of a repository's tags. */
export interface TagsPage {
  /** In the registry's own order. */
  readonly tags: readonly string[];
  /** The query that gives the next page, as the registry makes it; undefined after the last. */
  readonly next: string | undefined;
}

/** A page of what refers to a manifest. */
export interface ReferrersPage {
  /** The registry's image index, parsed. */
  readonly index: Readonly<Record<string, unknown>>;
  /** Bytes that it was sent in. */
  readonly size: number;
  /** Whether the registry left out what is of another artifact type than was asked for. */
  readonly isFiltered: boolean;
  /** As {@link TagsPage.next}. */
  readonly next: string | undefined;
}

export interface ManifestHead {
  /** Undefined where the registry does not say. */
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  readonly size: number | undefined;
  /** The registry's validator, where it sends one. */
  readonly etag?: string;
  /** Whether credentials were used: then it may be for those alone who have them. */
  readonly withCredentials: boolean;
}

export interface ManifestBody {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** The registry's Docker-Content-Digest, unchecked. */
  readonly digest: Digest | undefined;
  /** The registry's validator, where it sends one. */
  readonly etag?: string;
  /** Whether credentials were used: then it may be for those alone who have them. */
  readonly withCredentials: boolean;
}

export interface UpstreamBlob {
  /** Size of the whole blob; undefined where the registry does not say. */
  readonly size: number | undefined;
  /** Whether the part came that was asked for; false where the registry sends everything from the start, every time. */
  readonly isRanged: boolean;
  readonly body: AsyncIterable<Uint8Array>;
  /** Whether credentials were used for any of it so far: a body that is resumed may be another answer's. */
  readonly withCredentials: boolean;
}

/** The agent's neighbours, as a blob's acquisition sees them. */
export interface Swarm {
  /** Whether this agent can ask anybody at all; with nobody, upstream starts at once. */
  readonly hasNeighbours: boolean;
  /** Whether a network key keeps strangers out: then what peers send may be released chunk by chunk at once. */
  readonly isTrusted: boolean;
  /**
   * Who holds the blob: connected peers are asked directly, the DHT beside them. Yields as answers come, each peer
   * once, and ends when everybody has answered or `signal` fires (it does not throw then). Banned peers are left out.
   */
  holders(digest: Digest, signal: AbortSignal): AsyncIterable<Holder>;
  /** Neighbours that have told by now that they hold the blob, without asking anybody. Banned ones are left out. */
  tellers(digest: Digest): readonly Holder[];
  /** Notes that a peer did wrong. `lied` shuts it out for a while; others add up to that. */
  strike(peer: string, offence: Offence): void;
  /** Whether this peer, or another at its address, was caught lying. */
  isBanned(peer: string): boolean;
  /** This agent's own peer id. */
  readonly peerId: string;
  /** Who is connected and not banned. */
  neighbours(): Neighbour[];
  /**
   * Sends a message to each of `peers`, in order, as fast as each takes it. What a peer does not take is dropped, as it
   * is where the peer is gone: every message is told again or answered in time.
   */
  tell(peers: readonly string[], message: FleetMessage): void;
  /**
   * Chunk `index` from a neighbour that need not hold the whole blob; like {@link Holder.chunk}, and with the mark it
   * came with. Neither the bytes nor the mark are verified.
   */
  chunk(
    peer: string,
    digest: Digest,
    index: number,
    length: number,
    signal: AbortSignal,
    into?: Uint8Array,
  ): Promise<GivenChunk>;
  /** This agent's signature of a statement (protocol/mark.ts). */
  sign(statement: Uint8Array): Uint8Array;
  /** Whether `signature` is the one of `signer` (a peer id) for this statement; false for whatever is no signature. */
  verify(signer: string, statement: Uint8Array, signature: Uint8Array): boolean;
  /** Who is told of neighbours and their messages from now on, and asked for chunks that the store does not hold. One. */
  attend(attendant: Attendant): void;
  /**
   * What a neighbour says that a tag is; undefined where it does not know. Neither its signature nor anything else of it
   * is verified.
   * @throws AgentError PEER_UNREACHABLE, PEER_BUSY, PEER_STALLED, PEER_PROTOCOL; the signal's reason
   */
  tag(peer: string, asked: AskedTag, signal: AbortSignal): Promise<SignedTag | undefined>;
  /** Who tells peers from now on what tags are. One. */
  tellTags(teller: TagTeller): void;
}

/** A chunk as a peer gave it. */
export interface GivenChunk {
  readonly bytes: Uint8Array;
  readonly mark: Mark | undefined;
  /** The SHA-256 of the bytes, where this agent has made it already as they came. */
  readonly sha256?: Uint8Array;
}

/** What this agent found that a tag is, for a peer that asks; undefined where it has nothing to tell. May not throw. */
export type TagTeller = (asked: AskedTag) => SignedTag | undefined;

/** A peer that is connected. */
export interface Neighbour {
  readonly peer: string;
  /** Its IP address: peers of one address count as one. */
  readonly address: string;
}

/** The side of the fetch role that neighbours reach. None of these may throw. */
export interface Attendant {
  came(neighbour: Neighbour): void;
  left(peer: string): void;
  heard(peer: string, message: FleetMessage): void;
  /**
   * A chunk of a blob on its way, that was verified as it arrived; undefined where it is not there. Read into `into`
   * where that is long enough, and then its start; nobody writes to `into` any more once this has resolved.
   */
  chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined>;
  /** Who vouches for a chunk of a blob on its way, or just taken; undefined where that is nobody. */
  mark(digest: Digest, index: number): Mark | undefined;
}

/** `lied`: a false chunk or map; `missing`: advertised but not there; `stalled`; `garbage`: broke the protocol. */
export type Offence = 'lied' | 'missing' | 'stalled' | 'garbage';

/** A peer that says it holds a blob. */
export interface Holder {
  readonly peer: string;
  /** Its IP address: peers of one address count as one. */
  readonly address: string;
  /** The size it claims. */
  readonly size: number;
  /** The root of the chunk map it claims, hex. */
  readonly root: string;
  /** Its chunk map, matched to `root`, size and digest. @throws AgentError PEER_… */
  map(signal: AbortSignal): Promise<ChunkMap>;
  /**
   * Chunk `index`, exactly `length` bytes, unverified; in `into` where it is given, which is lost to the caller when
   * this throws, since bytes may still come; but not where it throws PEER_MISSING or PEER_BUSY.
   * @throws AgentError PEER_STALLED when no byte came for the stall time-out, PEER_MISSING, PEER_BUSY,
   *   PEER_UNREACHABLE, PEER_PROTOCOL
   */
  chunk(index: number, length: number, signal: AbortSignal, into?: Uint8Array): Promise<GivenChunk>;
}
