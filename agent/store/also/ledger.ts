import type { Logger } from 'pino';
import { type ChunkMap, chunkMapRoot, encodeChunkMap } from '../../../protocol/chunk-map.ts';
import { isBlobSize } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { type Stamp, sameStamp } from '../stamp.ts';
import type { AlsoIndex } from './also-index.ts';
import { Entries, type Entry, type Place } from './entries.ts';
import type { Found } from './source.ts';
import { Waiting } from './waiting.ts';

/** Files known of at once, over all sources: some 300 bytes each. A host with hundreds of images has some thousand. */
const MAX_FILES = 65_536;

export interface LedgerComponents {
  readonly index: AlsoIndex;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Carries out `change`, and finds out what it means to others for this digest. */
  around(digest: Digest, change: () => void): void;
  /** Told where something waits to be hashed. */
  onWaiting(): void;
}

/** What lies in the sources, and which of it is held: hashed, and not changed since. Synchronous throughout. */
export class Ledger {
  readonly #components: LedgerComponents;
  readonly #recheck: number;
  readonly #entries = new Entries();
  readonly #waiting = new Waiting<Entry>();
  #hasOverflowed = false;

  /** @param recheck how long a check stands. Milliseconds */
  constructor(components: LedgerComponents, recheck: number) {
    this.#components = components;
    this.#recheck = recheck;
  }

  /** What is known of, to look at. */
  get files(): Pick<Entries, 'held' | 'isShared' | 'digests'> {
    return this.#entries;
  }

  /** The chunk map of a held file, encoded. */
  mapOf(digest: Digest): Uint8Array | undefined {
    return this.#entries.held(digest) && this.#components.index.map(digest);
  }

  /** Blobs held and their bytes, each digest once, and the files that wait to be hashed. */
  totals(): { blobs: number; bytes: number; waiting: number } {
    return { ...this.#entries.totals(), waiting: this.waiting };
  }

  /** What is to be hashed next; it goes on waiting until {@link verified} or {@link refuse}, or {@link later}. */
  next(): Entry | undefined {
    return this.#waiting.first();
  }

  /** Puts it behind all others that wait. */
  later(entry: Entry): void {
    if (this.#waiting.delete(entry)) this.#waiting.add(entry);
  }

  /** A file as it looks now. What looks as it did when it was hashed is held; all else is hashed (again). */
  found(place: Place, { digest, stamp }: Found): void {
    const before = this.#entries.of(place, digest);
    if (before !== undefined && sameStamp(before.stamp, stamp)) return;
    if (before === undefined && this.#entries.size >= MAX_FILES) {
      if (!this.#hasOverflowed) {
        this.#components.logger.warn(
          { bound: MAX_FILES },
          'store.also holds more files than are followed; the rest is left',
        );
      }
      this.#hasOverflowed = true;
      return;
    }
    const known = this.#components.index.get(place.source.root, digest);
    if (known !== undefined && sameStamp(known.stamp, stamp)) {
      const { checkedAt, mapRoot } = known;
      this.#put({ place, digest, stamp, state: 'held', checkedAt, mapRoot });
      return;
    }
    const state = isBlobSize(Number(stamp.size)) ? 'waiting' : 'refused';
    this.#put({ place, digest, stamp, state, checkedAt: 0, mapRoot: '' });
    if (state === 'waiting') this.#components.onWaiting();
  }

  gone(place: Place, digest: Digest): void {
    const entry = this.#entries.of(place, digest);
    if (entry !== undefined) this.#drop(entry);
    this.#forget(place, [digest]);
  }

  /** What a full list of a place did not name is gone, and what was refused is looked at once more. */
  listed(place: Place, seen: ReadonlySet<Digest>): void {
    for (const entry of this.#entries.at(place)) {
      if (!seen.has(entry.digest)) this.#drop(entry);
      else if (entry.state === 'refused' && this.#isDue(entry)) {
        this.#put({ ...entry, state: 'waiting' });
        this.#components.onWaiting();
      }
    }
    const known = this.#components.index.digests(place.source.root);
    this.#forget(
      place,
      known.filter((digest) => !seen.has(digest)),
    );
  }

  /** The whole place is not there now. What is known of it stays in the index: it may only not be mounted. */
  lost(place: Place): void {
    for (const entry of this.#entries.at(place)) this.#drop(entry);
  }

  /** All of a file matched. Nothing where it looks otherwise by now. @throws what the index throws */
  verified(entry: Entry, map: ChunkMap, checkedAt: number): void {
    if (this.#entries.of(entry.place, entry.digest) !== entry) return;
    const mapRoot = chunkMapRoot(map);
    const known = { stamp: entry.stamp, checkedAt, mapRoot };
    this.#components.index.put(entry.place.source.root, entry.digest, known, encodeChunkMap(map));
    this.#put({ ...entry, state: 'held', checkedAt, mapRoot });
  }

  /** All of a held file matched once more, as it looks now. @throws what the index throws */
  renewed(entry: Entry, stamp: Stamp, checkedAt: number): void {
    const now = this.#entries.of(entry.place, entry.digest);
    if (now?.state !== 'held' || now.mapRoot !== entry.mapRoot) return;
    const { mapRoot } = now;
    this.#components.index.put(entry.place.source.root, entry.digest, { stamp, checkedAt, mapRoot }, undefined);
    this.#put({ ...now, stamp, checkedAt });
  }

  /** A file is not what its name says, or cannot be read. @returns whether that is news */
  refuse(entry: Entry): boolean {
    const now = this.#entries.of(entry.place, entry.digest);
    if (now === undefined || now.state === 'refused' || !sameStamp(now.stamp, entry.stamp)) return false;
    this.#put({ ...now, state: 'refused', mapRoot: '', checkedAt: this.#components.now() });
    this.#forget(entry.place, [entry.digest]);
    return true;
  }

  /** Files that wait to be hashed. */
  get waiting(): number {
    return this.#waiting.size;
  }

  #isDue({ stamp, checkedAt }: Entry): boolean {
    return isBlobSize(Number(stamp.size)) && Math.abs(this.#components.now() - checkedAt) >= this.#recheck;
  }

  /** Where that cannot be written, a row stays that holds only for a file that looks as it did. */
  #forget(place: Place, digests: readonly Digest[]): void {
    if (digests.length === 0) return;
    try {
      this.#components.index.remove(place.source.root, digests);
    } catch (error) {
      this.#components.logger.warn({ err: error }, 'the index of store.also cannot be written');
    }
  }

  /** Puts an entry in the place of what is known of its file. */
  #put(entry: Entry): void {
    this.#components.around(entry.digest, () => {
      const before = this.#entries.of(entry.place, entry.digest);
      if (before !== undefined) this.#waiting.delete(before);
      this.#entries.put(entry);
      if (entry.state === 'waiting') this.#waiting.add(entry);
    });
  }

  #drop(entry: Entry): void {
    this.#components.around(entry.digest, () => {
      this.#waiting.delete(entry);
      this.#entries.delete(entry);
    });
  }
}
