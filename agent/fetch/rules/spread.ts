import type { Taking } from './taking.ts';

/** A lease holder whose chunks nobody has taken over for this long brings them to nobody. ms */
const SPREAD_PATIENCE = 1_000;

/** And if it is just one chunk: this long. ms */
const STUCK_PATIENCE = 3_000;

/**
 * Whether chunks go further from those who brought them to the LAN. Who takes leases and then gives nothing would have
 * every chunk of a blob for itself. Pure; times in ms.
 */
export class Spread {
  /** When the youngest chunk that was taken over by anybody was there first. */
  #youngest = Number.NEGATIVE_INFINITY;
  /** Chunks that only such a one has who is barred because they go no further. */
  readonly #withheld = new Set<number>();

  isWithheld(index: number): boolean {
    return this.#withheld.has(index);
  }

  /** It has brought the chunk, and nobody else has it. */
  brought(taking: Taking, index: number, now: number): void {
    taking.unspread.set(index, now);
  }

  /** Somebody else has the chunk too. */
  movedOn(taking: Taking, index: number): void {
    const since = taking.unspread.get(index);
    if (since === undefined) return;
    taking.unspread.delete(index);
    this.#withheld.delete(index);
    this.#youngest = Math.max(this.#youngest, since);
  }

  /** It is gone, with what only it had. */
  dropped(taking: Taking): void {
    for (const index of taking.unspread.keys()) this.#withheld.delete(index);
  }

  /**
   * Whether its chunks go no further. Those of who is barred already are withheld: others may bring them.
   * @param wanting how many lack a chunk
   */
  isStuck(taking: Taking, isBarred: boolean, wanting: (index: number) => number, now: number): boolean {
    let stuck = 0;
    for (const [index, since] of taking.unspread) {
      if (now - since <= SPREAD_PATIENCE) break;
      // Where younger chunks of others move on, it is not the LAN that is slow.
      if (this.#youngest <= since || wanting(index) < 2) continue;
      if (isBarred) this.#withheld.add(index);
      // One may be on its way to somebody slow, and is kept from others until then.
      else if (++stuck >= 2 || now - since > STUCK_PATIENCE) return true;
    }
    return false;
  }
}
