import { LRUCache } from 'lru-cache';

/** Peers remembered. */
const MAX_PEERS = 1_000;

/**
 * Peers whose word held: chunks that they signed for, or gave by their chunk map, were part of a blob that matched as a
 * whole. In a fleet with a key their next chunks are shown at once; whoever has shown nothing yet may be one that has
 * the key and lies.
 */
export class Proven {
  readonly #peers = new LRUCache<string, true>({ max: MAX_PEERS });

  has(peer: string): boolean {
    return this.#peers.get(peer) === true;
  }

  add(peer: string): void {
    this.#peers.set(peer, true);
  }

  /** It was caught lying after all. */
  forget(peer: string): void {
    this.#peers.delete(peer);
  }
}
