import { type Digest, isDigest } from '../../protocol/digest.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { FetchComponents, FetchInit } from './init.ts';
import { heldManifest } from './kept-manifests.ts';
import { fetchManifest, fetchUpstream } from './manifest-fetch.ts';
import { ManifestTurns } from './manifest-turns.ts';
import type { ManifestHead } from './ports.ts';
import type { Sharing } from './sharing.ts';
import { SingleFlight } from './single-flight.ts';
import { isAway, type VerifiedManifest } from './verified-manifest.ts';

export interface ManifestsComponents extends FetchComponents {
  readonly sharing: Sharing;
}

/** Manifests: small, whole in memory, verified before anybody sees a byte of them. */
export class Manifests {
  readonly #components: FetchComponents;
  readonly #init: FetchInit;
  readonly #flights: SingleFlight<VerifiedManifest>;
  readonly #heads: SingleFlight<ManifestHead>;
  readonly #turns: ManifestTurns;

  constructor(components: ManifestsComponents, init: FetchInit, stopped: AbortSignal) {
    this.#components = components;
    this.#turns = new ManifestTurns(components.swarm, components.sharing, stopped);
    this.#init = init;
    this.#flights = new SingleFlight(stopped);
    this.#heads = new SingleFlight(stopped);
  }

  /**
   * What a reference means upstream, without a download where the registry says enough in a HEAD. A digest that is
   * held needs no upstream.
   */
  async describe(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<{ digest: Digest; mediaType: string; size: number }> {
    if (isDigest(reference)) {
      const held = await heldManifest(this.#components, reference, signal);
      if (held !== undefined) return described(held);
    }
    let head: ManifestHead;
    try {
      head = await this.#headUpstream(repository, reference, accept, signal);
    } catch (error) {
      // A peer may have by digest what upstream cannot be asked for; a tag is never a peer's to tell.
      if (!isDigest(reference) || !isAway(error)) throw error;
      return described(await this.get(repository, reference, accept, signal));
    }
    const digest = isDigest(reference) ? reference : head.digest;
    if (digest !== undefined && head.size !== undefined) return { digest, mediaType: head.mediaType, size: head.size };
    return described(await this.get(repository, reference, accept, signal));
  }

  /** The manifest behind a tag or digest: from the store, a peer, or upstream. */
  async get(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<VerifiedManifest> {
    if (isDigest(reference)) return this.#byDigest(repository, reference, accept, signal);
    const head = await this.#headUpstream(repository, reference, accept, signal);
    if (head.digest !== undefined) return this.#byDigest(repository, head.digest, accept, signal);
    return (await fetchUpstream(this.#components, repository, reference, accept, signal)).manifest;
  }

  /** Who asks at once asks once: a fleet that starts together asks for one tag. What is accepted is part of the question. */
  #headUpstream(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<ManifestHead> {
    return this.#heads.run(JSON.stringify([repositoryText(repository), reference, accept]), signal, (inner) =>
      this.#components.upstream.headManifest(repository, reference, accept, inner),
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
