import type { Digest } from '../../protocol/digest.ts';
import type { Repository } from '../oci/reference.ts';

/** A blob that is held. */
export interface InspectedBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** null for what is no manifest. */
  readonly mediaType: string | null;
  /** Milliseconds since the epoch, both. */
  readonly lastUsed: number;
  readonly checkedAt: number;
  readonly isPrivate: boolean;
  readonly isPinned: boolean;
}

/** A tag of a repository of a registry. */
export interface TagName {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** Looks at what is held; nothing of it counts as a use. */
export interface Inspection {
  /** undefined where it is not held. */
  blob(digest: Digest): InspectedBlob | undefined;
  /** Held blobs by digest, those after `after`; the last page is empty. */
  blobs(after: Digest | undefined, limit: number): readonly InspectedBlob[];
  /** The same of manifests. */
  manifests(after: Digest | undefined, limit: number): readonly InspectedBlob[];
  /** What was last checked at `until` or before, the longest ago first. */
  checkedUntil(
    until: number,
    after: Pick<InspectedBlob, 'checkedAt' | 'digest'> | undefined,
    limit: number,
  ): readonly InspectedBlob[];
  /** Whether its file no longer looks as it did when it was last checked. */
  isTouched(digest: Digest): Promise<boolean>;
  /** All of a held blob of `size` bytes at most; undefined where it is not held, larger or no longer good. */
  bytes(digest: Digest, size: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Reads all of it and matches it. One that is rotten is dropped by then. @param pace waits before more is read */
  check(
    digest: Digest,
    pace: (bytes: number) => Promise<void> | undefined,
    signal: AbortSignal,
  ): Promise<'good' | 'rotten' | 'gone'>;
  /** Whether something is being stored, or read by a client. */
  isBusy(): boolean;
}

/** Something that was or would be let go. */
export interface Gone {
  readonly digest: Digest;
  readonly kind: 'blob' | 'partial';
  /** Bytes of the disk. */
  readonly room: number;
  readonly lastUsed: number;
}

/** Lets go of what is held, by somebody's will. */
export interface Collection {
  /** Bytes of the disk that the store may take now. */
  allowed(): Promise<number>;
  /** Bytes of the disk that it takes. */
  readonly used: number;
  /** What would go so that it takes `to` bytes. */
  plan(to: number): readonly Gone[];
  /** Lets that go, a batch at a time. */
  collect(to: number, signal: AbortSignal): AsyncIterable<readonly Gone[]>;
  /** Drops a blob and what is left of its partial. @returns bytes of the disk */
  remove(digest: Digest): Promise<number>;
}

/** The store, as upkeep needs it. */
export interface Store {
  readonly inspection: Inspection;
  readonly collection: Collection;
  readonly tags: {
    /** The one checked last first. */
    peek(name: TagName): readonly { readonly digest: Digest; readonly accept: string }[];
    page(after: TagName | undefined, limit: number): readonly TagName[];
    drop(name: TagName, accept: string): void;
  };
  pin(image: string, digests: Iterable<Digest>): void;
  unpin(image: string): boolean;
  pins(): readonly { readonly image: string; readonly digests: readonly Digest[] }[];
  isPinned(digest: Digest): boolean;
  onRot(listener: (digest: Digest, mediaType: string | null) => void): () => void;
}

/** A manifest, whole. */
export interface Manifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** Content from the LAN or upstream; what is taken is kept. */
export interface Content {
  getManifest(
    request: { readonly repository: Repository; readonly reference: string; readonly accept: readonly string[] },
    signal: AbortSignal,
  ): Promise<Manifest>;
  openBlob(
    request: { readonly repository: Repository; readonly digest: Digest },
    signal: AbortSignal,
  ): Promise<{
    readonly size: number;
    read(start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
    close(): void;
  }>;
}

/** The neighbours. */
export interface Lan {
  /** How many of them told that they hold the blob. */
  tellersOf(digest: Digest): number;
}
