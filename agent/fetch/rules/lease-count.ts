import type { Table } from './table.ts';
import type { Taking } from './taking.ts';
import { wholeLeases } from './uplink-rate.ts';

/** Leases of a blob at a time: one alone leaves the uplink idle between its requests. */
export const LIVE_LEASES = 2;

/** And at most, where upstream gives no one connection all that the uplink could carry. */
export const MOST_LEASES = 8;

/** How many times as many are tried next, and how many times fewer where those were too many. */
const STEP = 1.5;

/** With chunks slower than this, it is the uplink that is full, and more connections but make each slower. ms */
const SLOW_CHUNK = 2_000;

/**
 * And with chunks that take no longer than this it is not. From the fourth connection on some starve on a line of 100 Mbit,
 * where three bring a chunk in this time: of eight, one in ten took ten seconds for 4 MiB. ms
 */
const SHORT_CHUNK = 250;

/**
 * A lease may bring nothing for this long before one beside it is allowed. Among many it is told of every two seconds; with
 * one second each new lease at 3 Mbit made the others quieter, and so allowed a further one: twenty hosts took 9 copies. ms
 */
const QUIET_FOR = 3_000;

/** And for this part of what a chunk takes: on a thin uplink all bring little. */
const QUIET_PART = 0.25;

/**
 * All blobs of an image begin at once: before there is a lease of each it seems that nobody takes the others. So each has
 * but one until a chunk of one of them has come, or for this long. ms
 */
const SETTLED_AFTER = 500;

/** After so long more are tried also where some leases bring less: they may be of another registry. ms */
const UNEVEN_FOR = 3_000;

/** Leases at a time where upstream gives nobody anything. */
const MOST_TRIES = 64;

/**
 * How many leases a blob may have: more than two where upstream caps connections, and for a trial while nobody knows.
 * Pure; ms.
 */
export class LeaseCount {
  readonly #table: Table;
  #begunAt = Number.POSITIVE_INFINITY;

  constructor(table: Table) {
    this.#table = table;
  }

  /** @param leases how many there are now */
  allowed(leases: number, now: number): number {
    this.#begunAt = Math.min(this.#begunAt, now);
    // Where one after the other finds that upstream gives it nothing, they must not find out two at a time.
    const { failures } = this.#table;
    const tries = failures === 0 ? 0 : Math.min(MOST_TRIES, LIVE_LEASES * 2 ** failures);
    return Math.max(this.#least(leases, now), tries, Math.min(MOST_LEASES, this.#ofUse(now)));
  }

  /** How many fill the uplink together with those of other blobs, as far as is known. */
  #ofUse(now: number): number {
    const { times, uplink, leaseHolders } = this.#table;
    // Not what is usual: with more leases than there were, that counts the cap of each as the uplink's.
    if (times.median === undefined || times.median > SLOW_CHUNK) return 0;
    return Math.max(uplink.needed(now) ?? 0, this.#trial(now)) - (uplink.leases - leaseHolders);
  }

  /** How many leases of all blobs there may be to find out what they bring; 0 where there is no need to. */
  #trial(now: number): number {
    const { uplink } = this.#table;
    const recent = uplink.recent(now);
    if (recent === undefined) return 0;
    // What was too much is taken back step by step, until the idle uplink shows that it takes more than so few.
    const enough = uplink.enough(now);
    if (uplink.isFull(now)) return enough ?? wholeLeases(recent.leases / STEP);
    // What a trial has allowed is measured before it allows more.
    const leases = Math.min(recent.leases, uplink.leases);
    if (recent.isEven) return wholeLeases(leases * STEP);
    // A cap gives each the same. Where some bring less, one more may make it worse; but others may be capped all the same.
    return Math.max(enough ?? 0, uplink.unevenFor(now) >= UNEVEN_FOR ? wholeLeases(leases * STEP) : 0);
  }

  /** Where other blobs keep a slow uplink busy, one of each does: the fewer connections, the less they starve each other. */
  #least(leases: number, now: number): number {
    const { times } = this.#table;
    const isQuick = times.notedAt > this.#begunAt && (times.usual ?? 0) < SHORT_CHUNK;
    const isFresh = this.#begunAt - times.notedAt > SETTLED_AFTER && now - this.#begunAt < SETTLED_AFTER;
    if (isFresh) return 1;
    const least = isQuick || times.leases - leases < LIVE_LEASES ? LIVE_LEASES : 1;
    return Math.min(MOST_LEASES, least + this.#quiet(now));
  }

  /** How many leases bring nothing: their holders may be slow, gone or liars, and nobody else brings any of the blob. */
  #quiet(now: number): number {
    const { own, others, times } = this.#table;
    const quietFor = Math.max(QUIET_FOR, (times.usual ?? 0) * QUIET_PART);
    const isQuiet = (taking: Taking) => this.#table.isUnderWay(taking) && now - taking.progressAt > quietFor;
    return Number(isQuiet(own)) + [...others.values()].filter(isQuiet).length;
  }
}
