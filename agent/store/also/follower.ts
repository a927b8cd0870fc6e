import type { Logger } from 'pino';
import type { Digest } from '../../../protocol/digest.ts';
import type { Place } from './entries.ts';
import type { Ledger } from './ledger.ts';

/** How long nothing must change before it is looked at: a file that is being written changes all the time. Milliseconds. */
const QUIET = 200;

/** But no longer than this after the first change. Milliseconds. */
const LATEST = 2_000;

/** How often everything is listed, whatever was told: watches lose things. Milliseconds (10 min). */
const LIST_EVERY = 600_000;

/** More changes than this at once are looked for by listing everything. */
const MAX_CHANGES = 1_024;

export interface FollowerComponents {
  readonly place: Place;
  readonly ledger: Ledger;
  readonly logger: Logger;
}

/** Keeps the ledger in step with one place. */
export class Follower {
  readonly #components: FollowerComponents;
  readonly #closing = new AbortController();
  readonly #unwatch: () => void;
  /** What may have changed since it was looked at last. */
  #changes: Set<Digest> | 'all' = 'all';
  #since: number | undefined = performance.now();
  #listedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> | undefined;
  #isThere: boolean | undefined;

  constructor(components: FollowerComponents) {
    this.#components = components;
    this.#unwatch = components.place.source.watch((what) => this.#note(what));
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('no longer followed'));
    clearTimeout(this.#timer);
    this.#unwatch();
    await this.#working;
  }

  #note(what: Digest | 'all'): void {
    if (what === 'all' || this.#changes === 'all' || this.#changes.size >= MAX_CHANGES) this.#changes = 'all';
    else this.#changes.add(what);
    this.#since ??= performance.now();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closing.signal.aborted || this.#working !== undefined) return;
    const now = performance.now();
    const due = this.#since === undefined ? this.#listedAt + LIST_EVERY : Math.min(now + QUIET, this.#since + LATEST);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#work(), Math.max(0, due - now)).unref();
  }

  #work(): void {
    const changes = this.#since === undefined ? 'all' : this.#changes;
    this.#changes = new Set();
    this.#since = undefined;
    const { place, logger } = this.#components;
    const working = changes === 'all' ? this.#list() : this.#look(changes);
    this.#working = working
      .catch((error) =>
        logger.warn({ err: error, path: place.source.root }, 'a directory of store.also is not followed'),
      )
      .finally(() => {
        this.#working = undefined;
        this.#schedule();
      });
  }

  async #list(): Promise<void> {
    const { place, ledger, logger } = this.#components;
    const path = place.source.root;
    const seen = new Set<Digest>();
    try {
      for await (const found of place.source.list(this.#closing.signal)) {
        seen.add(found.digest);
        ledger.found(place, found);
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      // Once: it is waited for, and that may be for long.
      if (this.#isThere !== false)
        logger.warn({ path, why }, 'a directory of store.also cannot be read; waiting for it');
      this.#isThere = false;
      ledger.lost(place);
      return;
    } finally {
      this.#listedAt = performance.now();
    }
    if (this.#isThere !== true) logger.info({ path, blobs: seen.size }, 'a directory of store.also is followed');
    this.#isThere = true;
    ledger.listed(place, seen);
  }

  async #look(changes: ReadonlySet<Digest>): Promise<void> {
    const { place, ledger } = this.#components;
    for (const digest of changes) {
      const stamp = await place.source.look(digest);
      if (this.#closing.signal.aborted) return;
      if (stamp === undefined) ledger.gone(place, digest);
      else ledger.found(place, { digest, stamp });
    }
  }
}
