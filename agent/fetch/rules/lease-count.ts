import type { Table } from './table.ts';

/** Leases of a blob at a time: one alone leaves the uplink idle between its requests. */
export const LIVE_LEASES = 2;

/** And at most, where upstream gives no one connection all that the uplink could carry. */
export const MOST_LEASES = 4;

/** How long a rate is measured, with as many leases all the while. ms */
const MEASURED_FOR = 2_000;

/**
 * What a lease more has to bring, of what one brings on average. Blobs taken at the same time share the uplink, so that
 * a connection more takes some of theirs: that alone is no more than half.
 */
const WORTH = 0.7;

/** After one lease more was of no use, how long until another try. ms */
const NOT_AGAIN_FOR = 30_000;

/** With chunks slower than this, it is the uplink that is full, and more connections but make each slower. ms */
const SLOW_CHUNK = 2_000;

/** Leases at a time where upstream gives nobody anything. */
const MOST_TRIES = 64;

/** How many leases a blob may have: a third and a fourth only while the blob's rate still rises with them. Pure; ms. */
export class LeaseCount {
  readonly #table: Table;
  #allowed = LIVE_LEASES;
  #measured = { leases: 0, since: 0, bytes: 0 };
  /** Bytes a ms with the number of leases that is the index. */
  readonly #rates: (number | undefined)[] = [];
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(table: Table) {
    this.#table = table;
  }

  /** @param leases how many there are now */
  allowed(leases: number, now: number): number {
    const bytes = this.#table.received;
    const { leases: before, since, bytes: had } = this.#measured;
    if (leases !== before || bytes < had) this.#measured = { leases, since: now, bytes };
    else if (now - since >= MEASURED_FOR) {
      this.#rates[leases] = (bytes - had) / (now - since);
      this.#measured = { leases, since: now, bytes };
      this.#decide(leases, now);
    }
    // Where one after the other finds that upstream gives it nothing, it must not take all of them in pairs to find out.
    return Math.max(this.#allowed, Math.min(MOST_TRIES, LIVE_LEASES * 2 ** this.#table.failures));
  }

  #decide(leases: number, now: number): void {
    if (leases !== this.#allowed) return;
    const rate = this.#rates[leases] as number;
    const before = this.#rates[leases - 1];
    if (leases > LIVE_LEASES && before !== undefined && rate < before * (1 + WORTH / (leases - 1))) {
      this.#allowed = leases - 1;
      this.#notBefore = now + NOT_AGAIN_FOR;
      return;
    }
    const { median } = this.#table.times;
    if (leases >= MOST_LEASES || now < this.#notBefore || median === undefined || median > SLOW_CHUNK) return;
    this.#allowed = leases + 1;
  }
}
