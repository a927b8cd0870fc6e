import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { Digest } from '../../../protocol/digest.ts';
import { briefly } from '../../errors.ts';
import { type Repository, repositoryText } from '../../oci/reference.ts';
import type { Store } from '../ports.ts';
import { timeLimit } from '../tags/time-limit.ts';
import type { Anonymous } from './ports.ts';
import type { Standings } from './standings.ts';

/** How long a registry may take to answer for one digest. Milliseconds. */
const ASK_WITHIN = 10_000;

/** Repositories with private content that may turn out to be public. */
const MAX_REPOSITORIES = 64;

/** Digests of one of them; an image has some tens. */
const MAX_DIGESTS = 256;

/** How long a digest is not asked for again that the registry did not give to anybody. Milliseconds. */
const ASK_AFTER = 3_600_000;

/** And one of which it did not say. Milliseconds. */
const ASK_AGAIN = 60_000;

/** Digests of which that is remembered. */
const MAX_ASKED = 4096;

interface Candidates {
  readonly repository: Repository;
  readonly digests: Set<Digest>;
}

export interface DisclosureComponents {
  readonly store: Pick<Store, 'find' | 'privateOf' | 'disclose'>;
  readonly anonymous: Anonymous;
  readonly standings: Standings;
  readonly logger: Logger;
}

/**
 * Makes public again what turns out to be: a layer that came with a private image first, an image that was taken before
 * its registry had answered. Only the registry that the content was private for can say so, by giving this very digest,
 * of a repository that is public, to somebody without credentials. No client's question for it does, no manifest that
 * lists it, no peer, and no other registry, which might say so of anything.
 */
export class Disclosure {
  readonly #components: DisclosureComponents;
  readonly #stopped: AbortSignal;
  readonly #candidates = new LRUCache<string, Candidates>({ max: MAX_REPOSITORIES });
  readonly #asked = new LRUCache<string, true>({ max: MAX_ASKED, ttl: ASK_AFTER });
  #isRunning = false;

  /** @param stopped ends all questions */
  constructor(components: DisclosureComponents, stopped: AbortSignal) {
    this.#components = components;
    this.#stopped = stopped;
    components.standings.onPublic(() => this.#begin());
  }

  /** Looks into what was asked for from `repository`, or is part of it: behind the request, one digest at a time. */
  consider(repository: Repository, digests: Iterable<Digest>): void {
    const { standings } = this.#components;
    if (standings.isSettled(repository) && !standings.isShared(repository)) return;
    const key = repositoryText(repository);
    const candidates = this.#candidates.get(key) ?? { repository, digests: new Set() };
    for (const digest of digests) {
      if (candidates.digests.size >= MAX_DIGESTS) break;
      if (this.#isCandidate(repository, digest)) candidates.digests.add(digest);
    }
    if (candidates.digests.size === 0) return;
    this.#candidates.set(key, candidates);
    this.#begin();
  }

  #isCandidate(repository: Repository, digest: Digest): boolean {
    const isOfRegistry = this.#components.store.privateOf(digest) === repository.registry;
    return isOfRegistry && !this.#asked.has(`${repositoryText(repository)}@${digest}`);
  }

  #begin(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#run().catch((error) => this.#components.logger.error({ err: error }, 'what is private stays so'));
  }

  async #run(): Promise<void> {
    try {
      for (let next = this.#next(); next !== undefined && !this.#stopped.aborted; next = this.#next()) {
        await this.#ask(next.repository, next.digest);
      }
    } finally {
      // Here, not a moment later: what came in between would wait for whoever comes next.
      this.#isRunning = false;
    }
  }

  /** A digest of a repository that is public. Those of repositories of which it is not known yet stay. */
  #next(): { repository: Repository; digest: Digest } | undefined {
    const { standings } = this.#components;
    for (const [key, { repository, digests }] of [...this.#candidates.entries()]) {
      const [digest] = digests;
      if (digest === undefined || (standings.isSettled(repository) && !standings.isShared(repository))) {
        this.#candidates.delete(key);
      } else if (standings.isShared(repository)) {
        digests.delete(digest);
        return { repository, digest };
      }
    }
    return undefined;
  }

  async #ask(repository: Repository, digest: Digest): Promise<void> {
    const { store, anonymous, standings, logger } = this.#components;
    if (!this.#isCandidate(repository, digest)) return;
    const what = { repository: repositoryText(repository), digest };
    const key = `${what.repository}@${digest}`;
    this.#asked.set(key, true);
    const kind = store.find(digest)?.mediaType ? 'manifest' : 'blob';
    const limit = timeLimit(ASK_WITHIN);
    try {
      const isAnybodys =
        standings.shareOf(repository) === 'all' ||
        (await anonymous.has(repository, kind, digest, AbortSignal.any([limit.signal, this.#stopped])));
      // It may have become another registry's meanwhile.
      if (!isAnybodys || store.privateOf(digest) !== repository.registry) return;
      store.disclose(digest);
      logger.info(what, 'what was private is public: peers may have it');
    } catch (error) {
      this.#asked.set(key, true, { ttl: ASK_AGAIN });
      if (!this.#stopped.aborted) logger.info({ ...what, ...briefly(error) }, 'not known whether it is public');
    } finally {
      limit.clear();
    }
  }
}
