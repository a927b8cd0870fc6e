import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { briefly } from '../../errors.ts';
import { type Repository, repositoryText } from '../../oci/reference.ts';
import { timeLimit, within } from '../tags/time-limit.ts';
import type { Anonymous, StandingRecords } from './ports.ts';
import { judge, type Known, type Said, type Share, UNKNOWN, type Verdict } from './standing.ts';

/**
 * How long the question may hold content up, from when it was put: beside a manifest's own request it mostly costs
 * nothing, and a pull that is taken alone is better than one that waits. Milliseconds.
 */
const HOLD = 1_000;

/** How long a registry may take to answer. What comes after {@link HOLD} counts for whatever is asked for next. Milliseconds. */
const ASK_WITHIN = 10_000;

/** Repositories asked about at once; with more, one is private until it is asked for again. */
const MAX_ASKED = 64;

/** Repositories known in memory. */
const MAX_KNOWN = 1024;

export interface StandingsComponents {
  readonly upstream: { mayBePrivate(repository: Repository): boolean; readonly anonymous: Anonymous };
  readonly records: StandingRecords;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A question that is being put. Its outcome never rejects. */
interface Asking {
  readonly outcome: Promise<void>;
  /** On the clock of performance.now(). */
  readonly since: number;
}

/** Which repositories peers may have a part in: what was found out, and the asking. One question a repository at a time. */
export class Standings {
  readonly #components: StandingsComponents;
  readonly #shareOf: (registry: string) => Share;
  readonly #stopped: AbortSignal;
  readonly #known = new LRUCache<string, Known>({ max: MAX_KNOWN });
  readonly #asking = new Map<string, Asking>();
  readonly #listeners = new Set<(repository: Repository) => void>();

  /** @param stopped ends every question */
  constructor(components: StandingsComponents, shareOf: (registry: string) => Share, stopped: AbortSignal) {
    this.#components = components;
    this.#shareOf = shareOf;
    this.#stopped = stopped;
  }

  /** Whether peers may have a part in what comes from there, by what is known now. */
  isShared(repository: Repository): boolean {
    return this.#verdict(repository).isShared;
  }

  /**
   * Whether anybody may have what is there, by what is known now: the configuration may give more to peers, and nobody
   * asks then.
   */
  isPublic(repository: Repository): boolean {
    const { upstream } = this.#components;
    return this.isShared(repository) && (this.shareOf(repository) !== 'all' || !upstream.mayBePrivate(repository));
  }

  /** What the configuration says of its registry. */
  shareOf({ registry }: Repository): Share {
    return this.#shareOf(registry);
  }

  /** Whether it is known by now, one way or the other. */
  isSettled(repository: Repository): boolean {
    const { isShared, isDue } = this.#verdict(repository);
    return isShared || !(isDue || this.#asking.has(repositoryText(repository)));
  }

  /** Calls back when a repository was found public. */
  onPublic(listener: (repository: Repository) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Begins to ask, where that is due, so that the answer is there when content is asked for.
   * @param reference of the manifest that is wanted; undefined where a blob is
   * @returns whether it is being asked
   */
  look(repository: Repository, reference?: string): boolean {
    const key = repositoryText(repository);
    if (this.#asking.has(key)) return true;
    if (!this.#verdict(repository).isDue || this.#asking.size >= MAX_ASKED || this.#stopped.aborted) return false;
    const outcome = this.#ask(repository, reference).finally(() => this.#asking.delete(key));
    this.#asking.set(key, { outcome, since: performance.now() });
    return true;
  }

  /** The same as {@link isShared}, once the registry has been asked, where it answers soon. @throws the reason of `signal` */
  async decide(repository: Repository, reference?: string, signal = this.#stopped): Promise<boolean> {
    this.look(repository, reference);
    const asking = this.#asking.get(repositoryText(repository));
    const left = asking === undefined ? 0 : asking.since + HOLD - performance.now();
    if (asking !== undefined && left > 0) {
      // Late is private, unless it was public a while ago.
      await within(asking.outcome, left, signal).catch(() => signal.throwIfAborted());
    }
    return this.isShared(repository);
  }

  #verdict(repository: Repository): Verdict {
    const { upstream, now } = this.#components;
    const share = this.shareOf(repository);
    const mayBePrivate = upstream.mayBePrivate(repository);
    const isAsked = share === 'public' && mayBePrivate;
    return judge(share, mayBePrivate, isAsked ? this.#knownOf(repository) : UNKNOWN, now());
  }

  #knownOf(repository: Repository): Known {
    const key = repositoryText(repository);
    const known = this.#known.get(key) ?? { ...UNKNOWN, standing: this.#components.records.find(repository) };
    this.#known.set(key, known);
    return known;
  }

  async #ask(repository: Repository, reference: string | undefined): Promise<void> {
    const { upstream, now, logger } = this.#components;
    const limit = timeLimit(ASK_WITHIN);
    try {
      const said = await upstream.anonymous.standing(
        repository,
        reference,
        AbortSignal.any([limit.signal, this.#stopped]),
      );
      this.#learn(repository, said);
    } catch (error) {
      this.#known.set(repositoryText(repository), { ...this.#knownOf(repository), failedAt: now() });
      if (this.#stopped.aborted) return;
      logger.info({ repository: repositoryText(repository), ...briefly(error) }, 'not known whether it is public');
    } finally {
      limit.clear();
    }
  }

  #learn(repository: Repository, said: Said): void {
    const { records, now, logger } = this.#components;
    const before = this.#knownOf(repository).standing?.said;
    const standing = { said, checkedAt: now() };
    this.#known.set(repositoryText(repository), { standing, failedAt: undefined });
    records.put(repository, standing);
    if (before !== said) {
      const what = said === 'public' ? 'a repository is public: peers may have it' : 'a repository is private';
      logger.info({ repository: repositoryText(repository), said }, what);
    }
    if (said === 'public') for (const listener of this.#listeners) listener(repository);
  }
}
