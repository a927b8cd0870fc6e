import { type Digest, isDigest } from '../../protocol/digest.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { ContentComponents, FetchInit } from './init.ts';
import { heldManifest } from './kept-manifests.ts';
import { fetchManifest, fetchUpstream } from './manifest-fetch.ts';
import { ManifestTurns } from './manifest-turns.ts';
import { isManifestType } from './media-type.ts';
import type { ManifestHead } from './ports.ts';
import type { Sharing } from './sharing.ts';
import { SingleFlight } from './single-flight.ts';
import type { RefreshedTag, TagQuestion } from './tags/question.ts';
import { Tags } from './tags/tags.ts';
import { isAway, type NamedManifest, type VerifiedManifest } from './verified-manifest.ts';

export interface ManifestsComponents extends ContentComponents {
  readonly sharing: Sharing;
}

/** What a reference means. */
export interface ManifestDescription extends Pick<NamedManifest, 'digest' | 'mediaType' | 'staleFor' | 'toldBy'> {
  /** Bytes. */
  readonly size: number;
}

/** Manifests: small, whole in memory, verified before anybody sees a byte of them. */
export class Manifests {
  readonly #components: ContentComponents;
  readonly #init: FetchInit;
  readonly #flights: SingleFlight<VerifiedManifest>;
  readonly #heads: SingleFlight<ManifestHead>;
  readonly #turns: ManifestTurns;
  readonly #tags: Tags;

  constructor(components: ManifestsComponents, init: FetchInit, stopped: AbortSignal) {
    this.#components = components;
    this.#turns = new ManifestTurns(components.swarm, components.sharing, stopped);
    this.#init = init;
    this.#flights = new SingleFlight(stopped);
    this.#heads = new SingleFlight(stopped);
    const byDigest = this.#byDigest.bind(this);
    const byTag = ({ repository, tag, accept }: TagQuestion, signal: AbortSignal) =>
      fetchUpstream(components, init, repository, tag, accept, signal);
    this.#tags = new Tags({ ...components, byDigest, byTag }, init, stopped);
  }

  /**
   * What a reference means, without a download where the registry says enough in a HEAD. A digest that is held needs
   * no upstream, and a tag none while what is known of it is fresh.
   */
  async describe(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<ManifestDescription> {
    if (!isDigest(reference)) {
      const { manifest: _, ...answer } = await this.#tags.resolve({ repository, tag: reference, accept }, signal);
      return answer;
    }
    const held = await heldManifest(this.#components, reference, signal);
    if (held !== undefined) return described(held);
    try {
      const { mediaType, size } = await this.#headUpstream(repository, reference, accept, signal);
      if (size !== undefined && isManifestType(mediaType)) return { digest: reference, mediaType, size };
    } catch (error) {
      // A peer may have by digest what upstream cannot be asked for.
      if (!isAway(error)) throw error;
    }
    return described(await this.#byDigest(repository, reference, accept, signal));
  }

  /** The manifest behind a tag or digest: from the store, a peer, or upstream. */
  async get(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<NamedManifest> {
    if (isDigest(reference)) return await this.#byDigest(repository, reference, accept, signal);
    const { staleFor, toldBy, ...answer } = await this.#tags.resolve({ repository, tag: reference, accept }, signal);
    const manifest = answer.manifest ?? (await this.#byDigest(repository, answer.digest, accept, signal));
    if (staleFor === undefined) return manifest;
    return { ...manifest, staleFor, ...(toldBy === undefined ? {} : { toldBy }) };
  }

  /** Asks upstream now what a tag is. */
  refresh(repository: Repository, tag: string, signal: AbortSignal): Promise<RefreshedTag> {
    return this.#tags.refresh(repository, tag, signal);
  }

  /** Who asks at once asks once. What is accepted is part of the question. */
  #headUpstream(
    repository: Repository,
    digest: Digest,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<ManifestHead> {
    return this.#heads.run(JSON.stringify([repositoryText(repository), digest, accept]), signal, (inner) =>
      this.#components.upstream.headManifest(repository, digest, accept, inner),
    );
  }

  async #byDigest(
    repository: Repository,
    digest: Digest,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<VerifiedManifest> {
    const held = await heldManifest(this.#components, digest, signal);
    if (held !== undefined) return held;
    // The repository is part of the key: what one is denied another may have.
    return this.#flights.run(`${repositoryText(repository)}@${digest}`, signal, (inner) =>
      fetchManifest({ ...this.#components, turns: this.#turns }, this.#init, { repository, digest, accept }, inner),
    );
  }
}

function described({ digest, mediaType, bytes }: VerifiedManifest) {
  return { digest, mediaType, size: bytes.length };
}
