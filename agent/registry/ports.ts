import type { Digest } from '../../protocol/digest.ts';
import type { TaggedImage } from '../oci/image.ts';
import type { Repository } from '../oci/reference.ts';
import type { Admission } from './admission.ts';

/** What a client asks for. */
export interface ManifestRequest {
  readonly repository: Repository;
  /** A tag or a digest, checked. */
  readonly reference: string;
  /** The client's Accept headers, as they came. */
  readonly accept: readonly string[];
}

export interface BlobRequest {
  readonly repository: Repository;
  readonly digest: Digest;
}

/** Which of a repository's tags. */
export interface TagsRequest {
  readonly repository: Repository;
  /** How many at most; undefined: as the registry likes. */
  readonly n: number | undefined;
  /** Those that come after this one; it is not among them. */
  readonly last: string | undefined;
}

export interface Tags {
  readonly tags: readonly string[];
  /** Whether more come after the last of them. */
  readonly hasMore: boolean;
}

export interface ReferrersRequest {
  readonly repository: Repository;
  readonly digest: Digest;
  /** undefined: of every type. */
  readonly artifactType: string | undefined;
}

/** An image index of what refers to a manifest; empty where nothing does. */
export interface Referrers {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface Manifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Where upstream was not asked what the tag is now, or could not be: how long ago it was. Milliseconds. */
  readonly staleFor?: number;
  /** Where that is another agent's word: that agent's id. */
  readonly toldBy?: string;
}

export interface ManifestDescription {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** As in {@link Manifest}. */
  readonly staleFor?: number;
  readonly toldBy?: string;
}

/** What a tag was, as far as was known, and is. */
export interface RefreshedTag {
  /** `checkedAt`: milliseconds since the epoch. */
  readonly was: { readonly digest: Digest; readonly checkedAt: number } | undefined;
  readonly is: Pick<ManifestDescription, 'digest' | 'mediaType' | 'size'>;
}

/** A blob whose size is known and whose bytes are here or on their way. */
export interface OpenBlob {
  readonly digest: Digest;
  readonly size: number;
  /**
   * The bytes from `start` to before `end`, as they become free to be shown. Ending the iteration early, or `signal`,
   * costs nothing and breaks nothing. A piece is the caller's until it asks for the next one. Throws where the blob cannot be completed: the response must then end short.
   * @param isPart the client named where the part ends: it may want no more of the blob than that. @default false
   */
  read(start: number, end: number, signal: AbortSignal, isPart?: boolean): AsyncIterable<Uint8Array>;
  /** Lets go of what was opened, for a caller that reads nothing. */
  close(): void;
}

/** Where the face gets its content from. All throw AgentError with a code that has a `status`. */
export interface Content {
  headManifest(request: ManifestRequest, signal: AbortSignal): Promise<ManifestDescription>;
  getManifest(request: ManifestRequest, signal: AbortSignal): Promise<Manifest>;
  /** Asks upstream now what a tag is, whatever is known of it. */
  refreshTag(request: TaggedImage, signal: AbortSignal): Promise<RefreshedTag>;
  /** Downloads nothing. */
  headBlob(request: BlobRequest, signal: AbortSignal): Promise<{ size: number }>;
  openBlob(request: BlobRequest, signal: AbortSignal): Promise<OpenBlob>;
  listTags(request: TagsRequest, signal: AbortSignal): Promise<Tags>;
  listReferrers(request: ReferrersRequest, signal: AbortSignal): Promise<Referrers>;
}

/** What one of the agent's own commands was asked. */
export interface LocalRequest {
  /** A parameter that must be there. @throws AgentError REQUEST_INVALID */
  one(name: string): string;
  /** undefined where it is not given. @throws AgentError REQUEST_INVALID where it is given twice */
  optional(name: string): string | undefined;
  /** Whether it is `true`. */
  flag(name: string): boolean;
  /** To be asked before anything of a repository is fetched. */
  readonly admit: Admission;
  /** What the caller gives to show that it may do what only the agent's owner may. */
  readonly ownerKey: string | undefined;
  /** What the caller sends. It has no time-out of its own. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Fires when the caller is gone or the agent stops. */
  readonly signal: AbortSignal;
}

/** A command for callers on this machine; answers with one JSON value, or with JSON lines as they come. */
export type LocalCommand = (request: LocalRequest) => Promise<object> | AsyncIterable<object>;
