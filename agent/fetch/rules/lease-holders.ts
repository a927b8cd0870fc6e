import type { Taking } from './taking.ts';
import type { UplinkRate } from './uplink-rate.ts';

/** After so many leases in a row without a chunk an agent gets no more, as after one that was overdue. */
const MOST_FRUITLESS = 3;

/** Agents of whom it is kept how many leases were in vain. */
const MAX_KEPT = 1_024;

/** Who takes one blob from upstream, and who took leases of it in vain. Pure; ms. */
export class LeaseHolders {
  readonly #uplink: UplinkRate;
  /** Whose leases take something of the uplink, or may: what is overdue takes none. */
  readonly #live = new Set<Taking>();
  /** How many leases in a row brought no chunk; past a neighbour's leaving, which it may do at will. */
  readonly #fruitless = new Map<string, number>();

  constructor(uplink: UplinkRate) {
    this.#uplink = uplink;
  }

  /** How many there are. */
  get count(): number {
    return this.#live.size;
  }

  has(taking: Taking): boolean {
    return this.#live.has(taking);
  }

  /** Whether the leases of this one count among those that share the uplink. */
  set(taking: Taking, isLive: boolean, now: number): void {
    if (isLive === this.#live.has(taking)) return;
    this.#uplink.elapse(now);
    if (!isLive) {
      this.gone(taking);
      return;
    }
    this.#live.add(taking);
    this.#uplink.began(taking, now);
  }

  /** It is not heard of any more. */
  gone(taking: Taking): void {
    this.#live.delete(taking);
    this.#uplink.ended(taking);
  }

  /**
   * A lease is over. True where its holder gets no more: who ends one and begins another before it is late would keep its
   * chunks for ever.
   */
  ended(peer: string, { isFruitless }: Taking): boolean {
    if (!isFruitless) return false;
    const times = (this.#fruitless.get(peer) ?? 0) + 1;
    if (times > 1 || this.#fruitless.size < MAX_KEPT) this.#fruitless.set(peer, times);
    return times >= MOST_FRUITLESS;
  }

  /** A chunk has come under a lease. */
  brought(peer: string): void {
    this.#fruitless.delete(peer);
  }
}
