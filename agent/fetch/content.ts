import { isBlobSize } from '../../protocol/chunks.ts';
import { type Digest, isDigest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { TaggedImage } from '../oci/image.ts';
import type { Repository } from '../oci/reference.ts';
import type { Acquisition } from './acquisition.ts';
import { Acquisitions } from './acquisitions.ts';
import { BlobSizes } from './blob-sizes.ts';
import { type ImportedBlob, Imports, notKept } from './imports.ts';
import type { ContentComponents, FetchInit } from './init.ts';
import { type LazyPart, LazyParts } from './lazy-parts.ts';
import { Listings, type TagsRequest } from './listings.ts';
import type { ManifestDescription } from './manifests.ts';
import { Disclosure } from './privacy/disclosure.ts';
import { partsOf } from './privacy/parts.ts';
import { Proven } from './proven.ts';
import type { Referrers, ReferrersRequest } from './referrers.ts';
import { isStoreFailure } from './store-failure.ts';
import type { TagsPart } from './tag-list.ts';
import type { RefreshedTag } from './tags/question.ts';
import { tagTeller } from './tags/telling.ts';
import { JUST_BYTES, notStored, type Taking } from './taking.ts';
import { Unstored } from './unstored.ts';
import { isAway, type NamedManifest } from './verified-manifest.ts';
import { Worlds } from './worlds.ts';

/** How long a blob of unknown size is looked for on the LAN when upstream cannot be asked. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

/** How often one response turns between the store and an acquisition: each rot found costs two turns. */
const MAX_TURNS = 6;

interface BlobRequest {
  readonly repository: Repository;
  readonly digest: Digest;
}

interface ManifestRequest {
  readonly repository: Repository;
  readonly reference: string;
  readonly accept: readonly string[];
}

/** Content by name: whatever the mirror is asked for, from the store, the neighbours or upstream. */
export interface LanContent {
  headManifest(request: ManifestRequest, signal: AbortSignal): Promise<ManifestDescription>;
  getManifest(request: ManifestRequest, signal: AbortSignal): Promise<NamedManifest>;
  /** Asks upstream now what a tag is, whatever is known of it. */
  refreshTag(request: TaggedImage, signal: AbortSignal): Promise<RefreshedTag>;
  headBlob(request: BlobRequest, signal: AbortSignal): Promise<{ size: number }>;
  openBlob(request: BlobRequest, signal: AbortSignal, taking?: Taking): Promise<AcquiredBlob>;
  /** Takes in what somebody brings; see {@link Imports.blob}. */
  importBlob(blob: ImportedBlob, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<{ held: boolean }>;
  /** Records what a tag is; see {@link Imports.tag}. */
  importTag(image: TaggedImage, digest: Digest, signal: AbortSignal): Promise<Digest | undefined>;
  listTags(request: TagsRequest, signal: AbortSignal): Promise<TagsPart>;
  listReferrers(request: ReferrersRequest, signal: AbortSignal): Promise<Referrers>;
  /** Whether any blob is on its way into the store. */
  readonly isFetching: boolean;
  /** Stops every acquisition and waits until each has let go. What is marked stays on disk. */
  stop(): Promise<void>;
}

export interface AcquiredBlob {
  readonly digest: Digest;
  readonly size: number;
  /** @param isPart the client named where the part ends: what is not here may then be taken without the rest */
  read(start: number, end: number, signal: AbortSignal, isPart?: boolean): AsyncGenerator<Uint8Array, void>;
  close(): void;
}

export function createContent(components: ContentComponents, init: FetchInit): LanContent {
  return new Content(components, init);
}

class Content implements LanContent {
  readonly #components: ContentComponents;
  readonly #worlds: Worlds;
  readonly #disclosure: Disclosure;
  readonly #acquisitions: Acquisitions;
  readonly #stopped = new AbortController();
  readonly #lazy: LazyParts;
  readonly #listings: Listings;
  readonly #unstored: Unstored;
  readonly #sizes: BlobSizes;
  readonly #imports: Imports;
  readonly #keeps: (repository: Repository) => boolean;

  constructor(components: ContentComponents, init: FetchInit) {
    this.#components = components;
    this.#lazy = new LazyParts(components.upstream, this.#stopped.signal);
    this.#listings = new Listings(components.upstream, this.#stopped.signal);
    this.#sizes = new BlobSizes(components, this.#stopped.signal);
    this.#worlds = new Worlds(components, init, this.#stopped.signal);
    const { standings } = this.#worlds;
    const { store, swarm, upstream } = components;
    const proven = new Proven();
    const { anonymous } = upstream;
    this.#disclosure = new Disclosure({ ...components, anonymous, standings }, this.#stopped.signal);
    this.#acquisitions = new Acquisitions({ store, worlds: this.#worlds, disclosure: this.#disclosure, proven }, init);
    this.#unstored = new Unstored(proven, init, this.#stopped.signal);
    this.#imports = new Imports(
      { ...components, apart: (digest, signal, work) => this.#acquisitions.apart(digest, signal, work) },
      init,
    );
    this.#keeps = init.keeps ?? (() => true);
    swarm.tellTags(tagTeller(components, (repository) => !standings.isShared(repository)));
  }

  headManifest({ repository, reference, accept }: ManifestRequest, signal: AbortSignal) {
    // Behind this request: the content that is asked for next waits for the answer.
    this.#worlds.standings.look(repository, reference);
    return this.#worlds.of(repository).manifests.describe(repository, reference, accept, signal);
  }

  async getManifest(request: ManifestRequest, signal: AbortSignal) {
    const manifest = await this.#manifest(request, signal);
    this.#disclosure.consider(request.repository, partsOf(manifest));
    this.#components.onManifest?.(manifest);
    this.#components.metrics.clientBytes.inc({ source: manifest.source }, manifest.bytes.length);
    return manifest;
  }

  refreshTag({ repository, tag }: TaggedImage, signal: AbortSignal) {
    return this.#worlds.of(repository).manifests.refresh(repository, tag, signal);
  }

  async headBlob({ repository, digest }: BlobRequest, signal: AbortSignal): Promise<{ size: number }> {
    const { store } = this.#components;
    const held = store.find(digest);
    if (held !== undefined) return { size: held.size };
    try {
      return await this.#sizes.upstream(repository, digest, signal);
    } catch (error) {
      const size = store.sizeOf(digest);
      if (size === undefined || !isAway(error)) throw error;
      return { size };
    }
  }

  async openBlob(
    { repository, digest }: BlobRequest,
    signal: AbortSignal,
    taking: Taking = JUST_BYTES,
  ): Promise<AcquiredBlob> {
    if (taking.intoStore === true && !this.#keeps(repository)) throw notKept(repository);
    const opened = (size: number) => this.#opened(repository, digest, size, taking);
    const known =
      this.#components.store.find(digest)?.size ?? this.#acquisitions.sizeOf(digest) ?? this.#sizes.told(digest);
    this.#disclosure.consider(repository, [digest]);
    if (known !== undefined) return opened(known);
    try {
      const { size } = await this.#sizes.upstream(repository, digest, signal);
      return opened(size);
    } catch (error) {
      if (!isAway(error)) throw error;
      const doubtful = this.#components.store.sizeOf(digest);
      if (doubtful !== undefined) return opened(doubtful);
      return opened(await this.#sizeOnWord(repository, digest, error, signal));
    }
  }

  importBlob(blob: ImportedBlob, body: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    return this.#imports.blob(blob, body, AbortSignal.any([signal, this.#stopped.signal]));
  }

  importTag(image: TaggedImage, digest: Digest, signal: AbortSignal) {
    return this.#imports.tag(image, digest, signal);
  }

  listTags(request: TagsRequest, signal: AbortSignal) {
    return this.#listings.tags(request, signal);
  }

  listReferrers(request: ReferrersRequest, signal: AbortSignal) {
    return this.#listings.referrers(request, signal);
  }

  get isFetching(): boolean {
    return this.#acquisitions.areRunning;
  }

  async stop(): Promise<void> {
    const reason = new AgentError('DRAINING', 'the agent is shutting down');
    this.#stopped.abort(reason);
    await this.#acquisitions.stop(reason);
    this.#worlds.stop();
  }

  async #manifest({ repository, reference, accept }: ManifestRequest, signal: AbortSignal): Promise<NamedManifest> {
    const isAsked = this.#worlds.standings.look(repository, reference);
    const now = this.#worlds.of(repository);
    if (!isAsked) return await now.manifests.get(repository, reference, accept, signal);
    // What a tag is, upstream is asked beside; with whom it is taken, is known when that is.
    const named: Pick<NamedManifest, 'digest' | 'staleFor' | 'toldBy'> = isDigest(reference)
      ? { digest: reference }
      : await now.manifests.describe(repository, reference, accept, signal);
    const isHeld = this.#components.store.find(named.digest) !== undefined;
    const world = isHeld ? now : await this.#worlds.decided(repository, reference, signal);
    const manifest = await world.manifests.get(repository, named.digest, accept, signal);
    const { staleFor, toldBy } = named;
    return { ...manifest, ...(staleFor !== undefined && { staleFor }), ...(toldBy !== undefined && { toldBy }) };
  }

  /**
   * A peer's word for the size counts only when upstream is away, and nothing is told to the client before the whole
   * has matched.
   */
  async #sizeOnWord(repository: Repository, digest: Digest, away: unknown, signal: AbortSignal): Promise<number> {
    const { swarm } = this.#worlds.of(repository).components;
    // Past the store a size that is wrong would show in the client's headers.
    if (!swarm.hasNeighbours || !this.#keeps(repository)) throw away;
    const looking = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_PATIENCE)]);
    const tried = new Set<number>();
    for await (const holder of swarm.holders(digest, looking)) {
      if (!isBlobSize(holder.size) || tried.has(holder.size)) continue;
      tried.add(holder.size);
      try {
        const wanted = { repository, digest, size: holder.size, position: 0 };
        await (await this.#acquisitions.acquire(wanted)).whole(signal);
        return holder.size;
      } catch (error) {
        signal.throwIfAborted();
        if (!isAgentError(error)) throw error;
      }
    }
    throw away;
  }

  #opened(repository: Repository, digest: Digest, size: number, taking: Taking): AcquiredBlob {
    return {
      digest,
      size,
      read: (start, end, signal, isPart = false) =>
        this.#read({ repository, digest, size, start, end }, isPart, taking, signal),
      // Nothing is held between opening and reading: an acquisition starts with its first reader.
      close: () => {},
    };
  }

  /** From the store what is there, the rest from the acquisition; rot found on the way is mended behind the client. */
  async *#read(part: LazyPart, isPart: boolean, taking: Taking, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const { store } = this.#components;
    const { repository, digest, size, end } = part;
    let position = part.start;
    if (isPart && !this.#isHereOrComing(digest) && this.#lazy.suits(part)) {
      try {
        for await (const bytes of this.#lazy.read(part, signal)) {
          this.#came('upstream', bytes.length, taking);
          position += bytes.length;
          yield bytes;
        }
      } catch (error) {
        signal.throwIfAborted();
        // The neighbours may have what upstream cannot give, or not in parts.
        if (!isAway(error)) throw error;
      }
    }
    let followed: Acquisition | undefined;
    if (size === 0 && store.find(digest) === undefined) return yield* this.#readEmpty(part, taking, signal);
    for (let turns = 0; position < end; turns++) {
      signal.throwIfAborted();
      if (turns > MAX_TURNS) throw new AgentError('CONTENT_UNAVAILABLE', `${digest} keeps going bad on disk`);
      await this.#acquisitions.brought(digest);
      if (store.find(digest) !== undefined) {
        try {
          for await (const bytes of store.read(digest, position, end, signal)) {
            // What this very request had to wait for is not the store's merit.
            this.#came(followed?.sourceAt(position) ?? 'store', bytes.length, taking);
            position += bytes.length;
            yield bytes;
          }
          return;
        } catch (error) {
          if (isAgentError(error, 'BLOB_ROTTEN')) continue;
          if (isStoreFailure(error)) return yield* this.#goOn({ ...part, start: position }, error, taking, signal);
          throw error;
        }
      }
      if (!this.#keeps(repository) && !this.#acquisitions.isComing(digest)) {
        return yield* this.#readUnstored({ ...part, start: position }, taking, signal);
      }
      try {
        followed = await this.#acquisitions.acquire({ repository, digest, size, position });
        for await (const { bytes, source } of followed.read(position, end, signal)) {
          this.#came(source, bytes.length, taking);
          position += bytes.length;
          yield bytes;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (isStoreFailure(error)) return yield* this.#goOn({ ...part, start: position }, error, taking, signal);
        // It had no part in what the LAN takes together, and its own registry has not been asked yet.
        if (followed !== undefined && isAgentError(error) && this.#acquisitions.isGuest(repository, followed)) continue;
        if (isAgentError(error, 'UPSTREAM_FAILED')) await this.#sizes.doubt(repository, digest, size, signal);
        throw error;
      }
    }
  }

  /** It has no last chunk that could wait for the digest: a registry's "0 bytes" would be any blob's whole. */
  async *#readEmpty(part: LazyPart, taking: Taking, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    if (!this.#keeps(part.repository)) return yield* this.#readUnstored(part, taking, signal);
    try {
      await (await this.#acquisitions.acquire({ ...part, position: 0 })).whole(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!isStoreFailure(error)) throw error;
      yield* this.#goOn(part, error, taking, signal);
    }
  }

  /** What the store has no room or no disk for. @param failure what it says */
  async *#goOn(
    part: LazyPart,
    failure: AgentError,
    taking: Taking,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    if (taking.intoStore === true) throw notStored(failure.message, failure);
    yield* this.#readUnstored(part, taking, signal);
  }

  /** Past the store. */
  async *#readUnstored(part: LazyPart, taking: Taking, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const world = this.#acquisitions.worldOf(part);
    for await (const { bytes, source } of this.#unstored.read(world, part, signal)) {
      this.#came(source, bytes.length, taking);
      yield bytes;
    }
  }

  #came(source: 'store' | 'peer' | 'upstream', bytes: number, taking: Taking): void {
    this.#components.metrics.clientBytes.inc({ source }, bytes);
    taking.told?.(source, bytes);
  }

  #isHereOrComing(digest: Digest): boolean {
    return this.#components.store.find(digest) !== undefined || this.#acquisitions.isComing(digest);
  }
}
