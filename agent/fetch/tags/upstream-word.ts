import { isAgentError } from '../../errors.ts';
import { isManifestType } from '../media-type.ts';
import { acceptText } from './accept.ts';
import type { TagsComponents } from './init.ts';
import type { KnownTags } from './known-tags.ts';
import { nameOf, type TagAnswer, type TagQuestion, whole } from './question.ts';

/** What upstream says that tags are. */
export class UpstreamWord {
  readonly #components: TagsComponents;
  readonly #known: KnownTags;
  readonly #now: () => number;

  /** @param known what is remembered of it */
  constructor(components: TagsComponents, known: KnownTags) {
    this.#components = components;
    this.#known = known;
    this.#now = components.now ?? Date.now;
  }

  /** What upstream says now; it is remembered, or forgotten where upstream says no. */
  async ask(question: TagQuestion, signal: AbortSignal): Promise<TagAnswer> {
    const name = nameOf(question);
    const accept = acceptText(question.accept);
    const checkedAt = this.#now();
    try {
      const { etag, ...answer } = await this.#look(question, accept, signal);
      const { digest, mediaType, size } = answer;
      if (accept !== undefined) {
        this.#known.remember(name, { accept, digest, mediaType, size, etag: etag ?? null, checkedAt }, this.#now());
      }
      return answer;
    } catch (error) {
      if (isAgentError(error, 'MANIFEST_UNKNOWN', 'UPSTREAM_DENIED')) this.#known.forget(name, accept);
      throw error;
    }
  }

  /** One HEAD, and no more where it says enough. */
  async #look(question: TagQuestion, wanted: string | undefined, signal: AbortSignal) {
    const { repository, tag, accept } = question;
    const head = await this.#components.upstream.headManifest(repository, tag, accept, signal);
    const { mediaType, size, etag } = head;
    if (head.digest !== undefined) this.#components.published?.named(repository, head.digest);
    const digest = head.digest ?? this.#known.digestOf(nameOf(question), wanted, etag);
    const saysEnough = size !== undefined && isManifestType(mediaType);
    if (digest !== undefined && saysEnough) return { digest, mediaType, size, etag };
    if (digest === undefined) {
      const fetched = await this.#components.byTag(question, signal);
      return { ...whole(fetched.manifest), etag: fetched.etag };
    }
    return { ...whole(await this.#components.byDigest(repository, digest, accept, signal)), etag };
  }
}
