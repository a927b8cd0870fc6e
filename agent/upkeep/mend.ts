import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, briefly } from '../errors.ts';
import { MANIFEST_MEDIA_TYPES } from '../oci/manifest.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import { knownImages } from './images.ts';
import { pinnedImages } from './pinned.ts';
import type { Content, Store } from './ports.ts';

/** Blobs that wait to be fetched again. A disk that loses more at once is not mended by fetching. */
const MAX_WAITING = 1_000;

/** What became of a rotten blob. */
export type Mended = { readonly isMended: true } | { readonly isMended: false; readonly why: string };

export interface MenderComponents {
  readonly store: Store;
  readonly content: Content;
  /** Throws where a repository may not be pulled. */
  readonly admit: (repository: Repository) => void;
  readonly logger: Logger;
}

/** Fetches rotten blobs again that are pinned, whoever found them: one at a time, as a client would. */
export class Mender {
  readonly #components: MenderComponents;
  readonly #waiting = new Map<Digest, Promise<Mended>>();
  readonly #stopped = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  readonly #end: () => void;

  constructor(components: MenderComponents) {
    this.#components = components;
    this.#end = components.store.onRot((digest, mediaType) => void this.#mend(digest, mediaType));
  }

  /** How it goes with a blob that was just found rotten. Never rejects. */
  outcome(digest: Digest): Promise<Mended> {
    return this.#waiting.get(digest) ?? Promise.resolve(this.#looked(digest));
  }

  async stop(): Promise<void> {
    this.#end();
    this.#stopped.abort(new AgentError('DRAINING', 'the agent is shutting down'));
    await this.#last;
  }

  #mend(digest: Digest, mediaType: string | null): void {
    const { store, logger } = this.#components;
    if (this.#stopped.signal.aborted || !store.isPinned(digest) || this.#waiting.has(digest)) return;
    if (this.#waiting.size >= MAX_WAITING) return;
    const mending = this.#last.then(async (): Promise<Mended> => {
      try {
        await this.#fetch(digest, mediaType !== null);
        logger.info({ digest }, 'a pinned blob that was rotten is whole again');
        return { isMended: true };
      } catch (error) {
        logger.warn({ digest, ...briefly(error) }, 'a pinned blob that was rotten cannot be fetched again');
        return { isMended: false, why: error instanceof AgentError ? error.message : 'the agent failed' };
      }
    });
    this.#last = mending;
    this.#waiting.set(digest, mending);
    // Whoever checks asks right after the rot was found, but may be a turn late.
    void mending.then(() => setImmediate(() => this.#waiting.delete(digest)));
  }

  #looked(digest: Digest): Mended {
    const { store } = this.#components;
    if (store.inspection.blob(digest) !== undefined) return { isMended: true };
    return { isMended: false, why: store.isPinned(digest) ? 'it could not be fetched again' : 'it is not pinned' };
  }

  /** From each repository that is known to have it, until one gives it. */
  async #fetch(digest: Digest, isManifest: boolean): Promise<void> {
    const { signal } = this.#stopped;
    let failure: unknown = new AgentError('IMAGE_UNKNOWN', 'no tag and no pin tells which repository it is of');
    for await (const repository of this.#repositories(digest)) {
      signal.throwIfAborted();
      try {
        this.#components.admit(repository);
        await this.#fetchFrom(repository, digest, isManifest);
        if (this.#components.store.inspection.blob(digest) !== undefined) return;
        failure = new AgentError('STORE_FULL', 'it came, and is not stored');
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #fetchFrom(repository: Repository, digest: Digest, isManifest: boolean): Promise<void> {
    const { content } = this.#components;
    const { signal } = this.#stopped;
    if (isManifest) {
      await content.getManifest({ repository, reference: digest, accept: [...MANIFEST_MEDIA_TYPES] }, signal);
      return;
    }
    const blob = await content.openBlob({ repository, digest }, signal);
    try {
      for await (const _ of blob.read(0, blob.size, signal)) signal.throwIfAborted();
    } finally {
      blob.close();
    }
  }

  /** The pins' own first; then those of tags whose images are made of it. */
  async *#repositories(digest: Digest): AsyncGenerator<Repository, void> {
    const { store } = this.#components;
    const told = new Set<string>();
    const isNew = (repository: Repository | undefined): repository is Repository => {
      if (repository === undefined || told.has(repositoryText(repository))) return false;
      told.add(repositoryText(repository));
      return true;
    };
    for (const { image, digests } of pinnedImages(store)) {
      if (digests.includes(digest) && isNew(image.repository)) yield image.repository;
    }
    for await (const { name, parts } of knownImages(store, this.#stopped.signal)) {
      const isOfIt = parts.some((part) => part.digest === digest);
      if (isOfIt && isNew(name?.repository)) yield name!.repository!;
    }
  }
}
