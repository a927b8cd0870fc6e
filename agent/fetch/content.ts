import { isBlobSize } from '../../protocol/chunks.ts';
import { type Digest, isDigest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { TaggedImage } from '../oci/image.ts';
import type { Repository } from '../oci/reference.ts';
import { Acquisitions } from './acquisitions.ts';
import { BlobReading } from './blob-reading.ts';
import { BlobSizes } from './blob-sizes.ts';
import { type ImportedBlob, Imports, notKept } from './imports.ts';
import type { ContentComponents, FetchInit } from './init.ts';
import { LazyParts } from './lazy-parts.ts';
import { Listings, type TagsRequest } from './listings/listings.ts';
import type { Referrers, ReferrersRequest } from './listings/referrers.ts';
import type { TagsPart } from './listings/tag-list.ts';
import type { ManifestDescription } from './manifests.ts';
import { Disclosure } from './privacy/disclosure.ts';
import { partsOf } from './privacy/parts.ts';
import { Proven } from './proven.ts';
import type { RefreshedTag } from './tags/question.ts';
import { tagTeller } from './tags/telling.ts';
import { JUST_BYTES, type Taking } from './taking.ts';
import { Unstored } from './unstored.ts';
import { isAway, type NamedManifest } from './verified-manifest.ts';
import { Worlds } from './worlds.ts';

/** How long a blob of unknown size is looked for on the LAN when upstream cannot be asked. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

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
  readonly #listings: Listings;
  readonly #reading: BlobReading;
  readonly #sizes: BlobSizes;
  readonly #imports: Imports;
  readonly #keeps: (repository: Repository) => boolean;

  constructor(components: ContentComponents, init: FetchInit) {
    this.#components = components;
    this.#listings = new Listings(components.upstream, this.#stopped.signal);
    this.#sizes = new BlobSizes(components, this.#stopped.signal);
    this.#worlds = new Worlds(components, init, this.#stopped.signal);
    const { standings } = this.#worlds;
    const { store, swarm, upstream, metrics } = components;
    const proven = new Proven();
    const { anonymous } = upstream;
    this.#disclosure = new Disclosure({ ...components, anonymous, standings }, this.#stopped.signal);
    this.#acquisitions = new Acquisitions(
      { store, worlds: this.#worlds, disclosure: this.#disclosure, proven, metrics },
      init,
    );
    this.#imports = new Imports(
      { ...components, apart: (digest, signal, work) => this.#acquisitions.apart(digest, signal, work) },
      init,
    );
    this.#keeps = init.keeps ?? (() => true);
    this.#reading = new BlobReading(
      {
        ...{ store, sizes: this.#sizes, acquisitions: this.#acquisitions, metrics: components.metrics },
        lazy: new LazyParts(upstream, this.#stopped.signal),
        unstored: new Unstored(proven, init, this.#stopped.signal),
      },
      this.#keeps,
    );
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
        this.#reading.read({ repository, digest, size, start, end }, isPart, taking, signal),
      // Nothing is held between opening and reading: an acquisition starts with its first reader.
      close: () => {},
    };
  }
}
