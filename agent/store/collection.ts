import type { Digest } from '../../protocol/digest.ts';
import type { Account } from './account.ts';
import type { Bounds } from './bounds.ts';
import { byLastUse, type Candidate, chooseVictims } from './eviction.ts';
import type { Holdings } from './holdings.ts';
import { PARTIAL_LIFETIME } from './old-partials.ts';
import type { Removal } from './removal.ts';

/** So many go at a time: their rows in one transaction, on the main thread. */
const BATCH = 256;

export interface CollectionComponents {
  readonly account: Account;
  readonly holdings: Holdings;
  readonly removal: Removal;
  readonly bounds: Bounds;
  readonly now: () => number;
  /** Whether it is pinned, being read or being fetched. */
  isKept(digest: Digest): boolean;
  /** What may still be written to the disk. Bytes. */
  free(): Promise<number>;
}

/** What is let go when somebody says so. */
export class Collection {
  readonly #components: CollectionComponents;

  constructor(components: CollectionComponents) {
    this.#components = components;
  }

  /** What the bounds allow the store to take now. Bytes of the disk. */
  async allowed(): Promise<number> {
    const { bounds, free } = this.#components;
    return Math.max(0, Math.min(bounds.maxSize, this.used + (await free()) - bounds.minFree));
  }

  /**
   * What the store takes, without files that were removed and are still there: letting more go would not make these go.
   * Bytes of the disk.
   */
  get used(): number {
    const { account } = this.#components;
    return account.total - account.usage.leaving;
  }

  /**
   * What would go so that the store takes `to` bytes at most: partials that nobody touched for a day, whatever `to` is,
   * then what was used longest ago. Less than that where the rest is pinned or in use.
   * @param limit so many at most @default all
   */
  plan(to: number, limit = Number.POSITIVE_INFINITY): Candidate[] {
    const { account, holdings, isKept } = this.#components;
    const old = this.#oldPartials();
    const isOld = new Set(old.map(({ digest }) => digest));
    const rest = account.leftovers().filter(({ digest }) => !isOld.has(digest));
    const needed = this.used - to - sumOf(old);
    const free = first(limit, byLastUse(holdings.byLastUse(), rest), ({ digest }) => !isKept(digest));
    return [...old, ...chooseVictims(free, () => true, needed, 0)];
  }

  /** Lets that go, a batch at a time; each is yielded when the files of it are gone. */
  async *collect(to: number, signal: AbortSignal): AsyncGenerator<readonly Candidate[], void> {
    for (;;) {
      signal.throwIfAborted();
      // Chosen anew each time: what was used or pinned meanwhile stays.
      const victims = this.plan(to, BATCH).slice(0, BATCH);
      if (victims.length === 0) return;
      await Promise.all(this.#components.removal.evict(victims));
      yield victims;
    }
  }

  /** Drops a blob and what is left of its partial. @returns bytes of the disk that this made free */
  async remove(digest: Digest): Promise<number> {
    const { account, holdings, removal } = this.#components;
    const room = holdings.get(digest)?.size ?? 0;
    await removal.remove(digest);
    const leftover = account.leftover(digest);
    if (leftover !== undefined) {
      await Promise.all(removal.evict([{ digest, kind: 'partial', ...leftover }]));
    }
    return room + (leftover?.room ?? 0);
  }

  #oldPartials(): Candidate[] {
    const before = this.#components.now() - PARTIAL_LIFETIME;
    return this.#components.account.leftovers().filter(({ lastUsed }) => lastUsed < before);
  }
}

/** No more is read than is wanted: it is read anew for each batch. */
function* first(
  limit: number,
  candidates: Iterable<Candidate>,
  mayGo: (candidate: Candidate) => boolean,
): Generator<Candidate> {
  let count = 0;
  for (const candidate of candidates) {
    if (!mayGo(candidate)) continue;
    yield candidate;
    count += 1;
    if (count >= limit) return;
  }
}

function sumOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { room }) => sum + room, 0);
}
