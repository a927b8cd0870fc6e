/** How long the chunk maps of holders may hold upstream back beyond the look-up, in all of one acquisition. ms */
export const MAP_PATIENCE = 3_000;

/** What leaving a lease for a new holder counts for, at least: it has to be claimed again, which takes time too. ms */
const LEFT_LEASE = 1_000;

/**
 * Until when one acquisition leaves upstream alone for holders' sake: while they are looked for, and while one is asked
 * for its chunk map. The time for maps is one for all of them, however many claim the blob: fifty that each keep silent
 * for nearly as long as one may, which is no offence, would keep a whole LAN off upstream for minutes. Pure; times in ms.
 */
export class Search {
  #lookUpEnds: number;
  #patience = MAP_PATIENCE;
  /** The map that is waited for: since when, and what that counts for at least. */
  #asked: { readonly at: number; readonly least: number } | undefined;

  /** @param lookUpEnds until when the look-up may hold upstream back */
  constructor(lookUpEnds: number) {
    this.#lookUpEnds = lookUpEnds;
  }

  /** Until when upstream is left alone; it may have passed. */
  get until(): number {
    const { at } = this.#asked ?? { at: Number.NEGATIVE_INFINITY };
    return Math.max(this.#lookUpEnds, at + this.#patience);
  }

  /** The look-up is over. */
  ended(): void {
    this.#lookUpEnds = Number.NEGATIVE_INFINITY;
  }

  /** A holder was found, and its map is asked for. False where upstream is not left alone for it any more. */
  asks(now: number, least = 0): boolean {
    this.answered(now);
    if (this.#patience <= 0) return false;
    this.#asked = { at: now, least };
    return true;
  }

  /** A holder was found after a lease was granted. True where the lease is left for it. */
  leaves(now: number): boolean {
    return this.asks(now, LEFT_LEASE);
  }

  /** No map is waited for: it is there, or will not come. */
  answered(now: number): void {
    if (this.#asked === undefined) return;
    this.#patience = Math.max(0, this.#patience - Math.max(now - this.#asked.at, this.#asked.least));
    this.#asked = undefined;
  }
}
