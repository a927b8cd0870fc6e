import { hash } from 'node:crypto';
import { CHUNK_HASH_LENGTH } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { TaggedImage } from '../oci/image.ts';
import { descriptorsOf, MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { ContentComponents, FetchInit } from './init.ts';
import { heldManifest } from './kept-manifests.ts';
import { mediaTypeOf } from './media-type.ts';
import { Places } from './places.ts';
import type { Partial } from './ports.ts';
import { isStoreFailure } from './store-failure.ts';
import { acceptText } from './tags/accept.ts';
import { KnownTags } from './tags/known-tags.ts';
import { nameOf } from './tags/question.ts';
import { notStored } from './taking.ts';

/** Blobs that are taken in at once; each has a chunk in memory. */
const MAX_AT_ONCE = 4;

/** How long who sends a blob may send nothing. Milliseconds. */
const STALL = 30_000;

/** Content that somebody on this machine brings from elsewhere. */
export interface ImportedBlob {
  readonly repository: Repository;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Of a manifest; undefined for everything else. */
  readonly mediaType: string | undefined;
  /** Whether peers may have it, where the registry's `share` does not say otherwise. */
  readonly isShared: boolean;
}

export interface ImportsComponents extends ContentComponents {
  /** Runs `work` while nobody fetches this digest. */
  apart<Result>(digest: Digest, signal: AbortSignal, work: () => Promise<Result>): Promise<Result>;
}

/**
 * What comes from a disk in place of a registry. Nothing of it counts before it matches its digest, and it is told to no
 * peer unless whoever brings it says so: no registry has given it to anybody.
 */
export class Imports {
  readonly #components: ImportsComponents;
  readonly #init: FetchInit;
  readonly #known: KnownTags;
  readonly #places = new Places(MAX_AT_ONCE);

  constructor(components: ImportsComponents, init: FetchInit) {
    this.#components = components;
    this.#init = init;
    this.#known = new KnownTags(components.tags, components.logger);
  }

  /**
   * Takes in one blob, or one manifest, from `body`.
   * @returns whether it was held already; then nothing of `body` is read
   * @throws AgentError IMPORT_REFUSED where it is not what its digest says, NOT_STORED
   */
  async blob(blob: ImportedBlob, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<{ held: boolean }> {
    const { digest, repository } = blob;
    this.#assertKept(repository);
    const leave = await this.#places.take(signal);
    try {
      return await this.#components.apart(digest, signal, async () => {
        if (this.#components.store.find(digest) !== undefined) return { held: true };
        this.#keepPrivate(blob);
        const pieces = lively(body, signal);
        if (blob.mediaType === undefined) await this.#stream(blob, pieces, signal);
        else await this.#whole(blob, blob.mediaType, pieces);
        return { held: false };
      });
    } catch (error) {
      if (isStoreFailure(error)) throw notStored(error.message, error);
      if (isAgentError(error, 'DIGEST_MISMATCH')) throw refused(digest, 'its bytes are others', error);
      throw error;
    } finally {
      leave();
    }
  }

  /**
   * Records what a tag is, as if upstream had just said so: it is asked again when the tag's window is over.
   * @returns what was known of it
   * @throws AgentError IMPORT_REFUSED where the manifest is not held
   */
  async tag({ repository, tag }: TaggedImage, digest: Digest, signal: AbortSignal): Promise<Digest | undefined> {
    this.#assertKept(repository);
    const manifest = await heldManifest(this.#components, digest, signal);
    if (manifest === undefined) throw refused(digest, 'it is held as no manifest');
    const name = nameOf({ repository, tag, accept: [] });
    const accept = acceptText([]) ?? '';
    const was = this.#known.last(name)?.digest;
    const { mediaType, bytes } = manifest;
    const checkedAt = (this.#components.now ?? Date.now)();
    this.#components.tags.put(name, { accept, digest, mediaType, size: bytes.length, etag: null, checkedAt });
    // What was told to others before would answer them for the rest of a window.
    this.#known.forgetOthers(name, accept);
    if (!this.#components.tags.find(name).some((record) => record.digest === digest)) {
      throw notStored(`the tag ${tag} cannot be remembered`);
    }
    return was;
  }

  #assertKept(repository: Repository): void {
    if (this.#init.keeps?.(repository) === false) throw notKept(repository);
  }

  /**
   * Before the first byte is written. Where nothing comes of it the note stays: taken back, it could be another's, who
   * pulls the same digest with credentials.
   * @throws AgentError NOT_STORED where that cannot be noted
   */
  #keepPrivate({ repository, digest, isShared }: ImportedBlob): void {
    const share = this.#init.share?.(repository.registry) ?? 'public';
    if (share === 'all' || (share === 'public' && isShared)) return;
    try {
      this.#components.store.keepPrivate(digest, repository.registry);
    } catch (cause) {
      throw notStored(`it cannot be noted that ${digest} is private`, cause);
    }
  }

  async #whole({ digest, size }: ImportedBlob, mediaType: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    if (size > MAX_MANIFEST_SIZE) throw refused(digest, `${size} bytes are too many for a manifest`);
    const bytes = Buffer.alloc(size);
    let at = 0;
    for await (const piece of pieces) {
      if (at + piece.length > size) throw refused(digest, `it has more than ${size} bytes`);
      bytes.set(piece, at);
      at += piece.length;
    }
    if (at < size) throw refused(digest, `it has ${at} bytes, not ${size}`);
    const { store } = this.#components;
    await store.put(digest, bytes, mediaTypeOf(bytes, mediaType) ?? null);
    store.rememberDescriptors(descriptorsOf(bytes));
  }

  async #stream({ digest, size }: ImportedBlob, pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const partial = await this.#components.store.openPartial(digest, size, signal);
    try {
      // What an earlier try has left may be a liar's; here all of it comes from one hand.
      await partial.unmark(Array.from({ length: partial.layout.count }, (_, index) => index));
      await write(partial, pieces);
      await partial.commit(null);
    } catch (error) {
      // A chunk of a blob that did not match vouches for nothing.
      await partial.discard();
      throw error;
    }
  }
}

/** What is told who wants something stored of a repository that the configuration leaves out. */
export function notKept(repository: Repository): AgentError {
  return notStored(`store.keep and store.skip leave ${repositoryText(repository)} out`);
}

async function write(partial: Partial, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const { digest, layout } = partial;
  const buffer = Buffer.allocUnsafeSlow(Math.min(layout.chunkSize, layout.size));
  let index = 0;
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      if (index >= layout.count) throw refused(digest, `it has more than ${layout.size} bytes`);
      const length = chunkLength(layout, index);
      const part = piece.subarray(at, at + length - filled);
      buffer.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < length) continue;
      const chunk = buffer.subarray(0, length);
      await partial.write(chunkStart(layout, index), chunk);
      // `peer`: nobody has vouched for it. What is left of it after a crash must not be taken for upstream's.
      await partial.mark(index, hash('sha256', chunk, 'buffer').subarray(0, CHUNK_HASH_LENGTH), 'peer');
      index += 1;
      filled = 0;
    }
  }
  if (index < layout.count) throw refused(digest, `it has fewer than ${layout.size} bytes`);
}

/** The body, for as long as something comes. @throws AgentError IMPORT_REFUSED where nothing does */
async function* lively(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { promise: over, reject } = Promise.withResolvers<never>();
      const onAbort = () => reject(signal.reason);
      const timer = setTimeout(() => reject(new AgentError('IMPORT_REFUSED', 'nothing more of it came')), STALL);
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
      try {
        const next = await Promise.race([iterator.next(), over]);
        if (next.done) return;
        yield next.value;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      }
    }
  } finally {
    // It may itself wait for what never comes.
    void iterator.return?.()?.then(undefined, () => {});
  }
}

function refused(digest: Digest, why: string, cause?: unknown): AgentError {
  return new AgentError('IMPORT_REFUSED', `${digest} is refused: ${why}`, { cause });
}
