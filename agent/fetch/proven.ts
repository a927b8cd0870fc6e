import { LRUCache } from 'lru-cache';

/** Peers remembered. */
const MAX_PEERS = 1_000;

/**
 * So many chunks of a peer must have been right before one is shown early: with fewer, one that lies now and then, or is
 * new and waits for its moment, would be believed after the first small layer.
 */
export const PROVEN_AFTER = 16;

interface Record {
  readonly chunks: number;
  /** When it had given so many; undefined before. On the clock of whoever keeps the record, ms. */
  readonly since: number | undefined;
}

/**
 * Peers whose word held: chunks that they signed for, or gave by their chunk map, were part of blobs that matched as a
 * whole. In a fleet with a key their next chunks are shown at once; whoever has shown nothing yet may be one that has
 * the key and lies. Times are of one clock, in milliseconds.
 */
export class Proven {
  readonly #peers = new LRUCache<string, Record>({ max: MAX_PEERS });

  /**
   * Whether a peer's word counts for a blob that has been acquired since `time`: what it was right about meanwhile, in a
   * small layer of the same image, may have been there to be believed in the large one.
   */
  has(peer: string, time: number): boolean {
    const since = this.#peers.get(peer)?.since;
    return since !== undefined && since <= time;
  }

  /** A blob has matched, `chunks` of which rested on its word. */
  add(peer: string, chunks: number, time: number): void {
    const had = this.#peers.get(peer);
    const sum = (had?.chunks ?? 0) + chunks;
    this.#peers.set(peer, { chunks: sum, since: had?.since ?? (sum >= PROVEN_AFTER ? time : undefined) });
  }

  /** It was caught lying after all. */
  forget(peer: string): void {
    this.#peers.delete(peer);
  }
}
