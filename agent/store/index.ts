/**
 * Blobs on disk. Under `store.path`:
 *
 * - `blobs/<algorithm>/<hex>`, `oci-layout`, `index.json`: verified content, an OCI image layout;
 * - `partials/`: blobs on their way, and beside each a journal of the chunks that were written;
 * - `index.sqlite`: what is held, since when, with its chunk map; sizes that manifests gave; what tags are upstream;
 *   which repositories are public;
 * - `lock.sqlite`: one agent a store.
 *
 * Whatever comes in goes the same way: a temporary file, verified, fsynced, renamed, then indexed.
 */
import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { isAgentError } from '../errors.ts';
import type { Descriptor } from '../oci/manifest.ts';
import { Account, type Usage } from './account.ts';
import { openIndex } from './blob-index.ts';
import { type Bounds, capacityOf, defaultMaxSize } from './bounds.ts';
import type { Collection } from './collection.ts';
import { createDiskStore } from './disk-store.ts';
import { type Files, systemFiles } from './files.ts';
import type { HealthMetrics, StoreState } from './health.ts';
import { Holdings, type HoldingsMetrics } from './holdings.ts';
import type { Inspection } from './inspection.ts';
import { layoutAt, prepareDirectories, unwritable, writeOciLayout } from './layout.ts';
import type { BlobListener } from './listeners.ts';
import { lockStore } from './lock.ts';
import { measurePartial } from './measure.ts';
import { emptyTmp, partialDigests } from './old-partials.ts';
import type { Pin } from './pin-index.ts';
import type { RotListener } from './readers.ts';
import type { RoomMetrics } from './room.ts';
import type { StandingRecords } from './standing-records.ts';
import type { TagRecords } from './tag-records.ts';
import type { HeldBlob, Partial } from './types.ts';

export type { BlobListener } from './listeners.ts';
export type { HeldBlob, Partial } from './types.ts';

/** What is due for a recheck after this long. Milliseconds (24 h). */
export const DEFAULT_RECHECK = 24 * 60 * 60 * 1000;

export interface StoreInit {
  /** The directory; made where it is missing. */
  readonly path: string;
  /**
   * A blob that was last checked longer ago is checked again as it is read. Milliseconds; 0: always.
   * @default 86400000 (24 h)
   */
  readonly recheck?: number;
  /**
   * The most that blobs, partials and index may take of the disk. Bytes.
   * @default 20 GiB, or a fifth of the disk's capacity where that is less
   */
  readonly maxSize?: number;
  /**
   * What the store leaves free on its disk. Bytes.
   * @default 0
   */
  readonly minFree?: number;
}

/** What the store counts into; agent/observe's Metrics fit. */
export interface StoreMetrics extends HoldingsMetrics, HealthMetrics, RoomMetrics {
  readonly refusedChunks: { inc(labels: { source: 'store' }): void };
}

export interface StoreComponents {
  readonly logger: Logger;
  /**
   * Milliseconds since the epoch.
   * @default Date.now
   */
  readonly now?: () => number;
  readonly metrics?: StoreMetrics;
  /** @default the system's */
  readonly files?: Files;
}

/** The store on disk. After {@link close}, every method throws AgentError DRAINING or finds nothing. */
export interface DiskStore {
  /** undefined where the blob is not held. Notes a use. */
  find(digest: Digest): HeldBlob | undefined;
  /**
   * The bytes from `start` to before `end`, in pieces of at most a chunk. Where a recheck is due each chunk is
   * checked before a byte of it is yielded. A piece is overwritten once the next one is asked for; one is read ahead.
   * @throws AgentError BLOB_ROTTEN, also where the blob is not held; RangeError; what `signal` was aborted with
   */
  read(digest: Digest, start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * The blob's one partial, with the chunks that still match their record.
   * @throws Error where it is open already; what `signal` was aborted with; AgentError STORE_FULL, STORE_FAILING. What
   *   is then written to it, marked or committed throws STORE_FAILING where the disk fails
   */
  openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial>;
  /** Takes in content that is whole in memory. @throws AgentError DIGEST_MISMATCH, STORE_FULL, STORE_FAILING */
  put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob>;
  /** Remembers sizes that verified manifests gave; the oldest are forgotten in time. */
  rememberDescriptors(descriptors: readonly Descriptor[]): void;
  /** The size of a held blob, else what a verified manifest gave. */
  sizeOf(digest: Digest): number | undefined;

  /**
   * From now on the digest is not for peers: {@link held}, {@link chunkMapOf}, {@link chunk}, {@link recent} and the
   * listeners know nothing of it. It outlasts the process, and ends with {@link remove} or {@link disclose}.
   * @param registry the one that it is private for
   * @throws where that cannot be noted
   */
  keepPrivate(digest: Digest, registry: string): void;
  isPrivate(digest: Digest): boolean;
  /** The one registry that it is private for; undefined where it is not, where they are several or it is not known. */
  privateOf(digest: Digest): string | undefined;
  /** From now on it is for peers; listeners hear of what is held. @throws where that cannot be noted */
  disclose(digest: Digest): void;

  /** What a peer is told of a held blob: its size and the root of its chunk map, hex. Notes no use. */
  held(digest: Digest): { readonly size: number; readonly root: string } | undefined;
  /** A held blob's chunk map, encoded. */
  chunkMapOf(digest: Digest): Uint8Array | undefined;
  /**
   * A chunk of a held blob, checked where that is due; undefined where there is none or it was just found rotten. Read
   * into `into` where that is long enough, and then its start; nobody writes to `into` any more once this has settled.
   */
  chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined>;
  /** The blobs used last, latest first. */
  recent(limit: number): Digest[];
  /** Tells of every blob that becomes held. @returns what ends it */
  onHold(listener: BlobListener): () => void;
  /** Tells of every blob that is held no longer, at once. @returns what ends it */
  onDrop(listener: BlobListener): () => void;

  /** What is remembered of tags; lasts as long as the store. */
  readonly tags: Pick<TagRecords, 'find' | 'peek' | 'put' | 'drop' | 'page'>;
  /** What is remembered of repositories; lasts as long as the store. */
  readonly standings: Pick<StandingRecords, 'find' | 'put'>;

  /** From now on these blobs, held or to come, are not evicted for the sake of `image`; those it had before may be. */
  pin(image: string, digests: Iterable<Digest>): void;
  /** @returns whether it was pinned */
  unpin(image: string): boolean;
  /** By image. */
  pins(): readonly Pin[];
  isPinned(digest: Digest): boolean;

  /** Tells of every blob, private ones too, that was found rotten and dropped. @returns what ends it */
  onRot(listener: RotListener): () => void;

  /** Looks at what is held, without a use of it. */
  readonly inspection: Pick<Inspection, keyof Inspection>;
  /** Lets go of what is held, by somebody's will. */
  readonly collection: Pick<Collection, keyof Collection>;

  /** With what the index tells of and was not looked at yet. */
  totals(): { readonly blobs: number; readonly bytes: number };
  /** What the store takes of the disk, and may. */
  usage(): Usage & Bounds;
  /** Whether things can be stored. */
  state(): StoreState;
  /**
   * Resolves when index and files were made to agree, behind everything else: until then what somebody asks for is looked
   * at when it is asked for. Also where that failed or the store was closed. Never rejects.
   */
  readonly inOrder: Promise<void>;
  /** Drops a blob and its file; who is reading it may finish. @returns whether it was held */
  remove(digest: Digest): Promise<boolean>;
  /** Ends reads, closes partials, waits for what is under way, lets go of the lock. */
  close(): Promise<void>;
}

/**
 * Opens the store for this agent alone.
 * @throws AgentError STORE_UNWRITABLE, STORE_IN_USE
 */
export async function openStore(components: StoreComponents, init: StoreInit): Promise<DiskStore> {
  const { logger, now = Date.now, metrics, files = systemFiles } = components;
  const layout = layoutAt(init.path);
  await prepareDirectories(files, layout);
  const lock = await lockStore(files, layout);
  try {
    const index = await openIndex(files, layout, logger);
    try {
      await emptyTmp(files, layout);
      await writeOciLayout(files, layout);
      const sizeNow = (digest: Digest) => files.sizeNow(layout.blob(digest));
      const holdings = new Holdings({ index, logger, now, metrics, sizeNow });
      const account = new Account(() => holdings.room);
      const left = await partialDigests(files, layout);
      for (const digest of left) account.leave(digest, await measurePartial(files, layout, digest));
      const maxSize = init.maxSize ?? defaultMaxSize(await capacityOf(files, layout.root));
      return createDiskStore(
        { files, layout, lock, holdings, logger, now, metrics, account },
        { bounds: { maxSize, minFree: init.minFree ?? 0 }, recheck: init.recheck ?? DEFAULT_RECHECK },
      );
    } catch (error) {
      await index.close();
      throw isAgentError(error) ? error : unwritable(init.path, error);
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}
