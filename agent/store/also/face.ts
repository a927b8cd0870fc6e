import type { Logger } from 'pino';
import type { Digest } from '../../../protocol/digest.ts';
import type { Descriptor } from '../../oci/manifest.ts';
import type { DiskStore, HeldBlob, Partial } from '../index.ts';
import { type BlobListener, BlobListeners } from '../listeners.ts';
import type { Activity } from './activity.ts';
import type { Ledger } from './ledger.ts';
import type { Publicity } from './publicity.ts';
import type { AlsoReaders } from './readers.ts';

export interface FaceComponents {
  readonly own: DiskStore;
  readonly ledger: Ledger;
  readonly publicity: Publicity;
  readonly readers: AlsoReaders;
  readonly activity: Activity;
  readonly logger: Logger;
}

/**
 * The store and what else the host holds, as one: the store's own answer first, else the other. Whatever is written,
 * dropped or counted is the store's own alone.
 */
export class StoreAndAlso implements DiskStore {
  readonly #own: DiskStore;
  readonly #ledger: Ledger;
  readonly #publicity: Publicity;
  readonly #readers: AlsoReaders;
  readonly #activity: Activity;
  readonly #onHold: BlobListeners;
  readonly #onDrop: BlobListeners;
  readonly #unsubscribe: (() => void)[];
  /** Nothing but the store's own is left. */
  #isAlone = false;

  constructor({ own, ledger, publicity, readers, activity, logger }: FaceComponents) {
    this.#own = own;
    this.#ledger = ledger;
    this.#publicity = publicity;
    this.#readers = readers;
    this.#activity = activity;
    this.#onHold = new BlobListeners(logger);
    this.#onDrop = new BlobListeners(logger);
    // What is held elsewhere has been told of, and stays when the store's own copy goes.
    this.#unsubscribe = [
      own.onHold((digest) => this.#isForPeers(digest) || this.#onHold.tell(digest)),
      own.onDrop((digest) => this.#isForPeers(digest) || this.#onDrop.tell(digest)),
    ];
  }

  /** Carries out a change of what is held elsewhere, or is public, and tells what it comes to. */
  around(digest: Digest, change: () => void): void {
    const was = this.#isForPeers(digest);
    change();
    const is = this.#isForPeers(digest);
    if (was === is || this.#own.held(digest) !== undefined) return;
    (is ? this.#onHold : this.#onDrop).tell(digest);
  }

  /** From now on there is only the store. */
  leave(): void {
    this.#isAlone = true;
    for (const end of this.#unsubscribe) end();
  }

  find(digest: Digest): HeldBlob | undefined {
    const own = this.#own.find(digest);
    if (own !== undefined) return own;
    const entry = this.#isAlone ? undefined : this.#ledger.files.held(digest);
    return entry && { digest, size: Number(entry.stamp.size), mediaType: null };
  }

  read(digest: Digest, start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const isElsewhere =
      !this.#isAlone && this.#own.find(digest) === undefined && this.#ledger.files.held(digest) !== undefined;
    const from = isElsewhere ? this.#readers : this.#own;
    return this.#activity.throughout(from.read(digest, start, end, signal));
  }

  openPartial(digest: Digest, size: number, signal: AbortSignal): Promise<Partial> {
    return this.#own.openPartial(digest, size, signal);
  }

  put(digest: Digest, bytes: Uint8Array, mediaType: string | null): Promise<HeldBlob> {
    return this.#own.put(digest, bytes, mediaType);
  }

  rememberDescriptors(descriptors: readonly Descriptor[]): void {
    this.#own.rememberDescriptors(descriptors);
  }

  sizeOf(digest: Digest): number | undefined {
    const entry = this.#isAlone ? undefined : this.#ledger.files.held(digest);
    // Before what a manifest said: that may be anything.
    return entry === undefined ? this.#own.sizeOf(digest) : Number(entry.stamp.size);
  }

  keepPrivate(digest: Digest, registry: string): void {
    const wasElsewhere = this.#isForPeers(digest) && this.#own.held(digest) === undefined;
    this.#own.keepPrivate(digest, registry);
    // The store tells of what it held itself.
    if (wasElsewhere) this.#onDrop.tell(digest);
  }

  isPrivate(digest: Digest): boolean {
    return this.#own.isPrivate(digest);
  }

  privateOf(digest: Digest): string | undefined {
    return this.#own.privateOf(digest);
  }

  disclose(digest: Digest): void {
    const wasForPeers = this.#isForPeers(digest);
    this.#own.disclose(digest);
    // The store tells only of what nobody else holds.
    if (!wasForPeers && this.#isForPeers(digest)) this.#onHold.tell(digest);
  }

  held(digest: Digest): { readonly size: number; readonly root: string } | undefined {
    const own = this.#own.held(digest);
    if (own !== undefined || !this.#isForPeers(digest)) return own;
    const { stamp, mapRoot } = this.#ledger.files.held(digest)!;
    return { size: Number(stamp.size), root: mapRoot };
  }

  chunkMapOf(digest: Digest): Uint8Array | undefined {
    return this.#own.chunkMapOf(digest) ?? (this.#isForPeers(digest) ? this.#ledger.mapOf(digest) : undefined);
  }

  chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#activity.during(async () => {
      const own = await this.#own.chunk(digest, index, signal, into);
      if (own !== undefined || !this.#isForPeers(digest)) return own;
      return await this.#readers.chunk(digest, index, signal, into);
    });
  }

  recent(limit: number): Digest[] {
    const own = this.#own.recent(limit);
    if (this.#isAlone || own.length >= limit) return own;
    const known = new Set(own);
    for (const digest of this.#ledger.files.digests()) {
      if (known.size >= limit) break;
      if (this.#isForPeers(digest)) known.add(digest);
    }
    return [...known];
  }

  onHold(listener: BlobListener): () => void {
    return this.#onHold.add(listener);
  }

  onDrop(listener: BlobListener): () => void {
    return this.#onDrop.add(listener);
  }

  get tags(): DiskStore['tags'] {
    return this.#own.tags;
  }

  get standings(): DiskStore['standings'] {
    return this.#own.standings;
  }

  get inOrder(): Promise<void> {
    return this.#own.inOrder;
  }

  pin(image: string, digests: Iterable<Digest>): void {
    this.#own.pin(image, digests);
  }

  unpin(image: string): boolean {
    return this.#own.unpin(image);
  }

  pins(): ReturnType<DiskStore['pins']> {
    return this.#own.pins();
  }

  isPinned(digest: Digest): boolean {
    return this.#own.isPinned(digest);
  }

  onRot(listener: Parameters<DiskStore['onRot']>[0]): () => void {
    return this.#own.onRot(listener);
  }

  get inspection(): DiskStore['inspection'] {
    return this.#own.inspection;
  }

  get collection(): DiskStore['collection'] {
    return this.#own.collection;
  }

  usage(): ReturnType<DiskStore['usage']> {
    return this.#own.usage();
  }

  state(): ReturnType<DiskStore['state']> {
    return this.#own.state();
  }

  totals(): { readonly blobs: number; readonly bytes: number } {
    return this.#own.totals();
  }

  async remove(digest: Digest): Promise<boolean> {
    const wasForPeers = this.held(digest) !== undefined;
    const wasHeld = await this.#own.remove(digest);
    // With its own copy the store forgets that a digest was private.
    if (!wasForPeers && this.#isForPeers(digest)) this.#onHold.tell(digest);
    return wasHeld;
  }

  close(): Promise<void> {
    return this.#own.close();
  }

  /** Whether what is held elsewhere is for peers. */
  #isForPeers(digest: Digest): boolean {
    if (this.#isAlone || this.#ledger.files.held(digest) === undefined || this.#own.isPrivate(digest)) return false;
    return this.#ledger.files.isShared(digest) || this.#publicity.has(digest);
  }
}
