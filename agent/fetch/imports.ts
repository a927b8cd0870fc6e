import type { Digest } from '../../protocol/digest.ts';
import { type AgentError, isAgentError } from '../errors.ts';
import type { TaggedImage } from '../oci/image.ts';
import { descriptorsOf, MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import { lively, refused, write } from './import-body.ts';
import type { ContentComponents, FetchInit } from './init.ts';
import { heldManifest } from './kept-manifests.ts';
import { mediaTypeOf } from './media-type.ts';
import { Places } from './places.ts';
import { isStoreFailure } from './store-failure.ts';
import { acceptText } from './tags/accept.ts';
import { KnownTags } from './tags/known-tags.ts';
import { nameOf } from './tags/question.ts';
import { notStored } from './taking.ts';

/** Blobs that are taken in at once; each has a chunk in memory. */
const MAX_AT_ONCE = 4;

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
