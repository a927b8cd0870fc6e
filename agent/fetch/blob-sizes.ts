import { LRUCache } from 'lru-cache';
import type { Digest } from '../../protocol/digest.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { FetchComponents } from './init.ts';
import { SingleFlight } from './single-flight.ts';

/** Blobs of which manifests and upstream told different sizes. */
const MAX_DOUBTED = 1024;

/** What is said of the sizes of blobs that are not held. */
export class BlobSizes {
  readonly #components: Pick<FetchComponents, 'store' | 'upstream' | 'logger'>;
  /** Who asks at once asks once. */
  readonly #flights: SingleFlight<{ size: number }>;
  readonly #doubted = new LRUCache<Digest, true>({ max: MAX_DOUBTED });

  /** @param stopped ends every question to upstream */
  constructor(components: Pick<FetchComponents, 'store' | 'upstream' | 'logger'>, stopped: AbortSignal) {
    this.#components = components;
    this.#flights = new SingleFlight(stopped);
  }

  /** What a manifest told, unless upstream has told something else since. Bytes. */
  told(digest: Digest): number | undefined {
    return this.#doubted.has(digest) ? undefined : this.#components.store.sizeOf(digest);
  }

  /** What upstream tells now. @throws AgentError UPSTREAM_… or BLOB_UNKNOWN */
  upstream(repository: Repository, digest: Digest, signal: AbortSignal): Promise<{ size: number }> {
    return this.#flights.run(`${repositoryText(repository)}@${digest}`, signal, (inner) =>
      this.#components.upstream.headBlob(repository, digest, inner),
    );
  }

  /**
   * To be called where upstream had no blob of that size. Any manifest may name any digest with a size of its own
   * invention: else one image could keep all others that share a layer from being pulled, for as long as its word is
   * remembered. But upstream's word of a bad moment may be the false one: it is asked anew each time, and not remembered.
   */
  async doubt(repository: Repository, digest: Digest, size: number, signal: AbortSignal): Promise<void> {
    const upstream = await this.upstream(repository, digest, signal).catch(() => undefined);
    if (upstream === undefined || upstream.size === size) return;
    this.#components.logger.warn({ digest, told: size, upstream: upstream.size }, 'a blob’s size is in doubt');
    this.#doubted.set(digest, true);
  }
}
