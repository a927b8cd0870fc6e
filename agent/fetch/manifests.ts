import { hash } from 'node:crypto';
import { chunkLength, layoutOf } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, isDigest, toDigest } from '../../protocol/digest.ts';
import { AgentError, briefly, isAgentError } from '../errors.ts';
import { descriptorsOf, MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import { withDeadline } from './deadline.ts';
import type { FetchComponents, FetchInit } from './init.ts';
import { mediaTypeOf } from './media-type.ts';
import type { Holder, ManifestHead } from './ports.ts';
import { SingleFlight } from './single-flight.ts';

/** How long a manifest is looked for on the LAN when upstream cannot be had. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

/** How long one holder may take to send a manifest: it is small, and clients wait 30 s in all. Milliseconds. */
const SEND_DEADLINE = 2_000;

/** How long the holders together may take before upstream is asked after all: as long as one stall. Milliseconds. */
const HOLDERS_DEADLINE = 5_000;

/** A manifest, whole and verified. */
export interface VerifiedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Where the bytes were for this request. */
  readonly source: 'store' | 'peer' | 'upstream';
}

/** Manifests: small, whole in memory, verified before anybody sees a byte of them. */
export class Manifests {
  readonly #components: FetchComponents;
  readonly #init: FetchInit;
  readonly #flights: SingleFlight<VerifiedManifest>;
  readonly #heads: SingleFlight<ManifestHead>;

  constructor(components: FetchComponents, init: FetchInit, stopped: AbortSignal) {
    this.#components = components;
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
      const held = await this.#held(reference, signal);
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
    return this.#fromUpstream(repository, reference, accept, signal);
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
    const held = await this.#held(digest, signal);
    if (held !== undefined) return held;
    // The repository is part of the key: what one is denied another may have.
    return this.#flights.run(`${repositoryText(repository)}@${digest}`, signal, (inner) =>
      this.#acquire(repository, digest, accept, inner),
    );
  }

  async #acquire(
    repository: Repository,
    digest: Digest,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<VerifiedManifest> {
    const near = await this.#fromPeers(digest, this.#init.lookupTimeout, signal);
    if (near !== undefined) return near;
    try {
      return await this.#fromUpstream(repository, digest, accept, signal);
    } catch (error) {
      if (!isAway(error)) throw error;
      const late = await this.#fromPeers(digest, LOOKUP_PATIENCE, signal);
      if (late !== undefined) return late;
      throw error;
    }
  }

  async #held(digest: Digest, signal: AbortSignal): Promise<VerifiedManifest | undefined> {
    const blob = this.#components.store.find(digest);
    if (blob === undefined || blob.size > MAX_MANIFEST_SIZE) return undefined;
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of this.#components.store.read(digest, 0, blob.size, signal)) pieces.push(piece);
    } catch (error) {
      if (isAgentError(error, 'BLOB_ROTTEN')) return undefined;
      throw error;
    }
    const bytes = Buffer.concat(pieces);
    const mediaType = blob.mediaType ?? mediaTypeOf(bytes);
    return mediaType === undefined ? undefined : { digest, mediaType, bytes, source: 'store' };
  }

  async #fromUpstream(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<VerifiedManifest> {
    const body = await this.#components.upstream.getManifest(repository, reference, accept, signal);
    const claimed = isDigest(reference) ? reference : body.digest;
    const digest = hashOf(claimed, body.bytes);
    if (claimed !== undefined && digest !== claimed) {
      throw new AgentError(
        'UPSTREAM_MISMATCH',
        `upstream sent something else for ${repositoryText(repository)}@${claimed}`,
      );
    }
    return this.#keep({ digest, mediaType: body.mediaType, bytes: body.bytes, source: 'upstream' });
  }

  /** The first holder whose bytes match; who sends others has lied. */
  async #fromPeers(digest: Digest, patience: number, signal: AbortSignal): Promise<VerifiedManifest | undefined> {
    const { swarm } = this.#components;
    if (!swarm.hasNeighbours) return undefined;
    // Bounds the look-up alone: a holder that answered in time may take longer to send.
    const looking = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
    const since = performance.now();
    for await (const holder of swarm.holders(digest, looking)) {
      if (performance.now() - since > HOLDERS_DEADLINE) break;
      if (holder.size > MAX_MANIFEST_SIZE) continue;
      const bytes = await this.#whole(holder, signal);
      if (bytes === undefined) continue;
      const mediaType = hashOf(digest, bytes) === digest ? mediaTypeOf(bytes) : undefined;
      if (mediaType === undefined) {
        swarm.strike(holder.peer, 'lied');
        this.#components.metrics.refusedChunks.inc({ source: 'peer' });
        this.#components.logger.warn(
          { digest, peer: holder.peer, address: holder.address },
          'peer sent a false manifest',
        );
        continue;
      }
      this.#components.metrics.peerBytes.inc(bytes.length);
      this.#components.logger.info(
        { digest, size: bytes.length, from: { [holder.peer]: bytes.length } },
        'manifest fetched',
      );
      return this.#keep({ digest, mediaType, bytes, source: 'peer' });
    }
    return undefined;
  }

  async #whole(holder: Holder, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const layout = layoutOf(holder.size);
    const pieces: Uint8Array[] = [];
    const heldBack = () => this.#components.download?.held ?? 0;
    const before = heldBack();
    try {
      await withDeadline(signal, SEND_DEADLINE, 'a manifest', async (inner) => {
        for (let index = 0; index < layout.count; index++) {
          pieces.push(await holder.chunk(index, chunkLength(layout, index), inner));
        }
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!isAgentError(error)) throw error;
      // A limit of our own may be why it is late: then it is looked for elsewhere, and nobody blamed.
      const isTheirs = heldBack() === before;
      if (isTheirs && isAgentError(error, 'PEER_STALLED')) this.#components.swarm.strike(holder.peer, 'stalled');
      if (isAgentError(error, 'PEER_MISSING')) this.#components.swarm.strike(holder.peer, 'missing');
      return undefined;
    }
    return Buffer.concat(pieces);
  }

  async #keep(manifest: VerifiedManifest): Promise<VerifiedManifest> {
    const { store, logger } = this.#components;
    const { digest, bytes, mediaType } = manifest;
    try {
      await store.put(digest, bytes, mediaType);
    } catch (error) {
      if (isAgentError(error)) throw error;
      // It is here, whole and verified: that a disk is full is no reason to keep it from who asked.
      logger.warn({ digest, ...briefly(error) }, 'manifest not stored');
    }
    store.rememberDescriptors(descriptorsOf(bytes));
    return manifest;
  }
}

/** Whether upstream could not be asked, as against asked and answering no. */
export function isAway(error: unknown): boolean {
  return isAgentError(error, 'UPSTREAM_UNREACHABLE', 'UPSTREAM_STALLED', 'UPSTREAM_FAILED', 'UPSTREAM_RATE_LIMITED');
}

function described({ digest, mediaType, bytes }: VerifiedManifest) {
  return { digest, mediaType, size: bytes.length };
}

/** The digest of `bytes` in the algorithm of `like` (sha256 where there is none). */
function hashOf(like: Digest | undefined, bytes: Uint8Array): Digest {
  const algorithm = like === undefined ? 'sha256' : algorithmOf(like);
  return toDigest(algorithm, hash(algorithm, bytes, 'buffer'));
}
