import { layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Repository } from '../oci/reference.ts';
import type { Acquisition } from './acquisition.ts';
import type { Acquisitions } from './acquisitions.ts';
import type { BlobSizes } from './blob-sizes.ts';
import type { LazyPart, LazyParts } from './lazy-parts.ts';
import type { Store } from './ports.ts';
import { MisledError } from './readers.ts';
import { isStoreFailure } from './store-failure.ts';
import { notStored, type Taking } from './taking.ts';
import type { Unstored, UnstoredPart } from './unstored.ts';
import { isAway } from './verified-manifest.ts';

/** How often one response turns between the store and an acquisition: each rot found costs two turns. */
const MAX_TURNS = 6;

/** Where the bytes of a blob may come from. */
export interface BlobReadingComponents {
  readonly store: Pick<Store, 'find' | 'read'>;
  readonly acquisitions: Acquisitions;
  readonly lazy: LazyParts;
  readonly unstored: Unstored;
  readonly sizes: BlobSizes;
  readonly metrics: Pick<Metrics, 'clientBytes'>;
}

/** Gives one client the bytes of a blob, wherever they are when it comes to them. */
export class BlobReading {
  readonly #store: Pick<Store, 'find' | 'read'>;
  readonly #acquisitions: Acquisitions;
  readonly #lazy: LazyParts;
  readonly #unstored: Unstored;
  readonly #sizes: BlobSizes;
  readonly #metrics: Pick<Metrics, 'clientBytes'>;
  readonly #keeps: (repository: Repository) => boolean;

  /** @param keeps whether what comes from a repository is stored */
  constructor(components: BlobReadingComponents, keeps: (repository: Repository) => boolean) {
    this.#store = components.store;
    this.#acquisitions = components.acquisitions;
    this.#lazy = components.lazy;
    this.#unstored = components.unstored;
    this.#sizes = components.sizes;
    this.#metrics = components.metrics;
    this.#keeps = keeps;
  }

  /** From the store what is there, the rest from the acquisition; rot found on the way is mended behind the client. */
  async *read(part: LazyPart, isPart: boolean, taking: Taking, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const store = this.#store;
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
    /** What the first chunk that was shown hashed to. */
    let first: Uint8Array | undefined;
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
        for await (const { bytes, source, sha256 } of followed.read(position, end, signal)) {
          first ??= sha256;
          this.#came(source, bytes.length, taking);
          position += bytes.length;
          yield bytes;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (isStoreFailure(error)) {
          return yield* this.#goOn(restOf(part, position, first), error, taking, signal);
        }
        // It had no part in what the LAN takes together, and its own registry has not been asked yet.
        const isGuest = followed !== undefined && this.#acquisitions.isGuest(repository, followed);
        if (isGuest && isAgentError(error) && !(error instanceof MisledError)) continue;
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
    part: UnstoredPart,
    failure: AgentError,
    taking: Taking,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    if (taking.intoStore === true) throw notStored(failure.message, failure);
    yield* this.#readUnstored(part, taking, signal);
  }

  /** Past the store. */
  async *#readUnstored(part: UnstoredPart, taking: Taking, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const world = this.#acquisitions.worldOf(part);
    for await (const { bytes, source } of this.#unstored.read(world, part, signal)) {
      this.#came(source, bytes.length, taking);
      yield bytes;
    }
  }

  #came(source: 'store' | 'peer' | 'upstream', bytes: number, taking: Taking): void {
    this.#metrics.clientBytes.inc({ source }, bytes);
    taking.told?.(source, bytes);
  }

  #isHereOrComing(digest: Digest): boolean {
    return this.#store.find(digest) !== undefined || this.#acquisitions.isComing(digest);
  }
}

/**
 * What is left of a part at `position`. Where no more than the first chunk of a blob was shown, it is matched as a whole
 * all the same.
 */
function restOf(part: LazyPart, position: number, first: Uint8Array | undefined): UnstoredPart {
  const isWhole = part.start === 0 && part.end === part.size;
  if (!isWhole || first === undefined || position === 0 || position > layoutOf(part.size).chunkSize) {
    return { ...part, start: position };
  }
  return { ...part, shown: { bytes: position, first } };
}
