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
   */
  plan(to: number): Candidate[] {
    return this.#plan(to, Number.POSITIVE_INFINITY, NONE);
  }

  /** Lets that go, a batch at a time; each is yielded when the files of it are gone. */
  async *collect(to: number, signal: AbortSignal): AsyncGenerator<readonly Candidate[], void> {
    const { account, removal } = this.#components;
    const stuck = new Set<Digest>();
    for (;;) {
      signal.throwIfAborted();
      // Chosen anew each time: what was used or pinned meanwhile stays.
      const victims = this.#plan(to, BATCH, stuck).slice(0, BATCH);
      if (victims.length === 0) return;
      await Promise.all(removal.evict(victims));
      // A partial that cannot be removed lies there as before: chosen again, it would be so without end.
      for (const { digest, kind } of victims) {
        if (kind === 'partial' && account.leftover(digest) !== undefined) stuck.add(digest);
      }
      const gone = victims.filter(({ digest }) => !stuck.has(digest));
      if (gone.length > 0) yield gone;
    }
  }

  /**
   * Drops a blob and what is left of its partial, unless somebody is at that.
   * @returns bytes of the disk that this made free
   * @throws what the file system threw
   */
  async remove(digest: Digest): Promise<number> {
    const { holdings, isKept, removal } = this.#components;
    const room = holdings.get(digest)?.size ?? 0;
    await removal.remove(digest);
    return room + (isKept(digest) ? 0 : await removal.removeLeft(digest));
  }

  /** @param limit so many blobs and young partials at most @param passedOver what stays all the same */
  #plan(to: number, limit: number, passedOver: ReadonlySet<Digest>): Candidate[] {
    const { account, holdings, isKept, now } = this.#components;
    const mayGo = ({ digest }: Candidate) => !passedOver.has(digest) && !isKept(digest);
    const before = now() - PARTIAL_LIFETIME;
    const leftovers = account.leftovers();
    const old = leftovers.filter((partial) => partial.lastUsed < before && mayGo(partial));
    const rest = leftovers.filter(({ lastUsed }) => lastUsed >= before);
    const needed = this.used - to - sumOf(old);
    const free = first(limit, byLastUse(holdings.byLastUse(), rest), mayGo);
    return [...old, ...chooseVictims(free, () => true, needed, 0)];
  }
}

const NONE: ReadonlySet<Digest> = new Set();

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
