import type { Digest } from '../../protocol/digest.ts';
import { type Candidate, roomOf } from './eviction.ts';

/** What lies on disk of a partial that nobody has open. */
export interface Leftover {
  /** Bytes of the disk. */
  readonly room: number;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
}

/** Room that somebody may write to. */
export interface Reservation {
  /** Bytes of the disk. */
  readonly room: number;
  /** Of these, how many are not on disk yet. */
  readonly unwritten: () => number;
}

/** What of the disk the store takes, by the byte. All in bytes of the disk. */
export interface Usage {
  readonly blobs: number;
  /** Blobs on their way with all that they will take, and those that nobody fetches any more as they lie there. */
  readonly partials: number;
  /** Files that are being removed, or that somebody still reads. */
  readonly leaving: number;
  /** The index, directories and whatever else lies in the store's directory. */
  readonly rest: number;
}

/**
 * The account of what the store takes. Nothing in it is remembered across a restart: blobs are counted by the index,
 * what is left of partials by their directory.
 */
export class Account {
  readonly #blobs: () => number;
  readonly #reservations = new Set<Reservation>();
  readonly #leftovers = new Map<Digest, Leftover>();
  #leaving = 0;
  #lingering = 0;
  #rest = 0;

  /** @param blobs what the held blobs take now */
  constructor(blobs: () => number) {
    this.#blobs = blobs;
  }

  get usage(): Usage {
    let partials = 0;
    for (const { room } of this.#reservations) partials += room;
    for (const { room } of this.#leftovers.values()) partials += room;
    return { blobs: this.#blobs(), partials, leaving: this.#leaving + this.#lingering, rest: this.#rest };
  }

  get total(): number {
    const { blobs, partials, leaving, rest } = this.usage;
    return blobs + partials + leaving + rest;
  }

  /** What is about to be gone: files that are being removed. */
  get leaving(): number {
    return this.#leaving;
  }

  /** What was promised and is still to be written. */
  get unwritten(): number {
    let sum = 0;
    for (const reservation of this.#reservations) sum += reservation.unwritten();
    return sum;
  }

  reserve(reservation: Reservation): void {
    this.#reservations.add(reservation);
  }

  /** More than once is harmless. */
  release(reservation: Reservation): void {
    this.#reservations.delete(reservation);
  }

  /** What is on disk of a partial that nobody has open; undefined: nothing. */
  leave(digest: Digest, leftover: Leftover | undefined): void {
    if (leftover === undefined) this.#leftovers.delete(digest);
    else this.#leftovers.set(digest, leftover);
  }

  /**
   * As {@link leave}, of one that lies there as far as is known: what was let go or opened while somebody looked is no
   * leftover any more.
   */
  changed(digest: Digest, leftover: Leftover | undefined): void {
    if (this.#leftovers.has(digest)) this.leave(digest, leftover);
  }

  leftover(digest: Digest): Leftover | undefined {
    return this.#leftovers.get(digest);
  }

  /** The partials that nobody has open, the one used longest ago first. */
  leftovers(): Candidate[] {
    return Array.from(this.#leftovers, ([digest, { room, lastUsed }]) => ({
      digest,
      kind: 'partial' as const,
      room,
      lastUsed,
    })).sort((a, b) => a.lastUsed - b.lastUsed);
  }

  /** A file of `size` bytes is being removed until what is returned is called. Once. */
  leaves(size: number): () => void {
    const room = roomOf(size);
    this.#leaving += room;
    return () => {
      this.#leaving -= room;
    };
  }

  /** A file of `size` bytes was removed and is read, or could not be, until what is returned is called. Once. */
  lingers(size: number): () => void {
    const room = roomOf(size);
    this.#lingering += room;
    return () => {
      this.#lingering -= room;
    };
  }

  measured(rest: number): void {
    this.#rest = rest;
  }
}
