import type { Digest } from '../../../protocol/digest.ts';
import type { Stamp } from '../stamp.ts';
import type { Source } from './source.ts';

/** A source, and what may become of its content. */
export interface Place {
  readonly source: Source;
  /** Whether peers may have all of it. */
  readonly isShared: boolean;
}

/** A file that goes by a digest. */
export interface Entry {
  readonly place: Place;
  readonly digest: Digest;
  readonly stamp: Stamp;
  /** `held`: it was hashed and is what its name says. `refused`: it is not, or cannot be read, as it looks now. */
  readonly state: 'waiting' | 'held' | 'refused';
  /** When all of it was last matched, or refused. Milliseconds since the epoch. */
  readonly checkedAt: number;
  /** Of its chunk map, hex; empty where it is not held. */
  readonly mapRoot: string;
}

/** Every file that is known of, by digest and place. */
export class Entries {
  readonly #entries = new Map<Digest, Map<Place, Entry>>();
  #size = 0;

  /** Files in all. */
  get size(): number {
    return this.#size;
  }

  of(place: Place, digest: Digest): Entry | undefined {
    return this.#entries.get(digest)?.get(place);
  }

  at(place: Place): Entry[] {
    return [...this.#entries.values()].flatMap((entries) => entries.get(place) ?? []);
  }

  /** A held file of this digest: any of them. */
  held(digest: Digest): Entry | undefined {
    for (const entry of this.#entries.get(digest)?.values() ?? []) if (entry.state === 'held') return entry;
    return undefined;
  }

  /** Whether one that is held lies where peers may have everything. */
  isShared(digest: Digest): boolean {
    for (const { state, place } of this.#entries.get(digest)?.values() ?? []) {
      if (state === 'held' && place.isShared) return true;
    }
    return false;
  }

  /** Every digest that is held, the latest to be found first. */
  digests(): Digest[] {
    return [...this.#entries.keys()].filter((digest) => this.held(digest) !== undefined).reverse();
  }

  /** Blobs held and their bytes, each digest once. */
  totals(): { blobs: number; bytes: number } {
    const held = this.digests().map((digest) => Number(this.held(digest)!.stamp.size));
    return { blobs: held.length, bytes: held.reduce((sum, size) => sum + size, 0) };
  }

  /** In the place of what is known of the file. */
  put(entry: Entry): void {
    this.delete(entry);
    const entries = this.#entries.get(entry.digest) ?? new Map<Place, Entry>();
    entries.set(entry.place, entry);
    this.#entries.set(entry.digest, entries);
    this.#size++;
  }

  delete({ place, digest }: Pick<Entry, 'place' | 'digest'>): void {
    const entries = this.#entries.get(digest);
    if (!entries?.delete(place)) return;
    this.#size--;
    if (entries.size === 0) this.#entries.delete(digest);
  }
}
