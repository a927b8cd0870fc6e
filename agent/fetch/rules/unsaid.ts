import { type Bitmap, bitmapOf, clearBit, eachNew, setBit } from '../../../protocol/bitmap.ts';

/**
 * So often may an agent unsay what it said to have brought: what came from peers meanwhile may have been false, or have
 * matched a chunk map that is used no longer; or its store was lost.
 */
const MOST_UNSAID = 6;

/** Agents of whom it is kept what they brought. */
const MAX_KEPT = 1_024;

/**
 * Who said that chunks of a blob had come under its leases, and then said no more to have them: by turns, who never had
 * one could keep all of them from all others for ever. It is kept past an agent's leaving, which it may do at will. Pure.
 */
export class Unsaid {
  readonly #count: number;
  readonly #brought = new Map<string, Bitmap>();
  readonly #times = new Map<string, number>();

  /** @param count chunks of the blob */
  constructor(count: number) {
    this.#count = count;
  }

  /** It says that chunk `index` has come under its lease. */
  brought(peer: string, index: number): void {
    let brought = this.#brought.get(peer);
    if (brought === undefined) {
      if (this.#brought.size >= MAX_KEPT) return;
      brought = bitmapOf(this.#count);
      this.#brought.set(peer, brought);
    }
    setBit(brought, index);
  }

  /** It says to have these. True where its word counts no longer: it has unsaid too often what it said to have brought. */
  hears(peer: string, have: Bitmap): boolean {
    const brought = this.#brought.get(peer);
    if (brought === undefined) return false;
    let isUnsaid = false;
    eachNew(have, brought, (index) => {
      isUnsaid = true;
      clearBit(brought, index);
    });
    if (!isUnsaid) return false;
    const times = (this.#times.get(peer) ?? 0) + 1;
    this.#times.set(peer, times);
    return times > MOST_UNSAID;
  }
}
