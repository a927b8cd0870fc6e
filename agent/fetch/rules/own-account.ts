import { hasBit } from '../../../protocol/bitmap.ts';
import type { Part } from './part.ts';
import { STANDSTILL } from './standstill.ts';
import type { Table } from './table.ts';
import { isWithin, type Segment } from './taking.ts';

/**
 * After so long without a chunk it counts no more what others say to take: two that play into each other's hands could
 * take leases, and say that they bring something, for ever. Longer than a slow honest lease is live. ms
 */
const LONGEST_STANDSTILL = 45_000;

/** Or so many times what a chunk may take, where that is longer: three at a time take 25 s each at 1 Mbit; and at most. ms */
const LONGER = 2;
const LONGEST_OF_ALL = 120_000;

/** How long one waits for the next in the order to have taken matters in hand; and the longest wait, in turns. ms */
const TURN = 100;
const MOST_TURNS = 16;

/** And where leases count no more, for as many as there are: they must not all begin at once. ms */
const REGARDLESS_TURN = 1_000;

/** After one that brought nothing, twice as long after each further one; and at most. ms */
const FRUITLESS_PAUSE = 100;
const LONGEST_PAUSE = 2_000;

/** Chunks that are taken at a time. */
const AT_A_TIME = 4;

/** What an agent takes from upstream without anybody's leave, since its pull stands still. Pure; times in ms. */
export class OwnAccount {
  readonly #table: Table;
  readonly #part: Part;
  readonly #place: () => number;
  /** Since when there is something that nobody takes; undefined where there is nothing. ms */
  #openAt: number | undefined;
  #fruitless = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  /** How often leases came to count no more. */
  #standstills = 0;

  /** @param place this agent's in the order of coordinators: one after the other, who comes first tells what it takes */
  constructor(table: Table, part: Part, place: () => number) {
    this.#table = table;
    this.#part = part;
    this.#place = place;
  }

  /** What to take now; undefined for nothing. */
  next(now: number): Segment | undefined {
    const part = this.#part;
    const hasWaited = !part.isForsaken && !part.takesRegardless;
    part.isForsaken ||= now >= this.#standsStillAt;
    if (!part.takesRegardless && this.isTooLong(now)) {
      part.takesRegardless = true;
      this.#standstills++;
    }
    if ((!part.isForsaken && !part.takesRegardless) || now < this.#notBefore) return undefined;
    const open = this.#open(now);
    if (open === undefined) {
      this.#openAt = undefined;
      return part.takesRegardless ? this.#last() : undefined;
    }
    // All see at one moment that a lease has ended: without turns each would take its chunks.
    this.#openAt ??= hasWaited ? Number.NEGATIVE_INFINITY : now;
    const isAlone = this.#table.others.size === 0;
    return isAlone || now >= this.#openAt + this.#turn ? open : undefined;
  }

  /** A lease is over: where it brought nothing the next may not either, and upstream must not be asked without end. */
  ended(hasBrought: boolean, now: number): void {
    this.#fruitless = hasBrought ? 0 : this.#fruitless + 1;
    const pause = Math.min(LONGEST_PAUSE, FRUITLESS_PAUSE * 2 ** (this.#fruitless - 1));
    this.#notBefore = hasBrought ? Number.NEGATIVE_INFINITY : now + pause;
  }

  /** Whether nothing has come for so long that it counts no more what others say to take. */
  isTooLong(now: number): boolean {
    return now >= this.#tooLongAt;
  }

  /** When {@link next} has something to say, if nothing happens before; each may have passed. */
  get dueAt(): readonly number[] {
    const openAt = this.#openAt ?? Number.POSITIVE_INFINITY;
    return [this.#standsStillAt, this.#tooLongAt, openAt + this.#turn, this.#notBefore];
  }

  get #standsStillAt(): number {
    const { gainedAt, movableAt } = this.#part;
    return Math.max(gainedAt, movableAt) + STANDSTILL + this.#turn;
  }

  get #tooLongAt(): number {
    const standstill = Math.min(LONGEST_OF_ALL, Math.max(LONGEST_STANDSTILL, LONGER * this.#table.times.patience));
    // Half as long each time: who gives a chunk now and then must not have the whole time again for each.
    return this.#part.gainedAt + standstill / 2 ** this.#standstills + this.#place() * REGARDLESS_TURN;
  }

  get #turn(): number {
    return Math.min(this.#place(), MOST_TURNS) * TURN;
  }

  /** The first chunks that nobody takes, whoever says to have them. */
  #open(now: number): Segment | undefined {
    const live = this.#table.leases(now);
    const isOpen = (index: number) => this.#lacks(index) && !live.some(({ leases }) => isWithin(index, leases));
    const { count } = this.#table;
    let from = 0;
    while (from < count && !isOpen(from)) from++;
    if (from === count) return undefined;
    let to = from + 1;
    while (to < Math.min(count, from + AT_A_TIME) && isOpen(to)) to++;
    return [from, to];
  }

  /** One of the last, each agent another: an honest holder of a slow lease begins with the first. */
  #last(): Segment | undefined {
    const missing: number[] = [];
    for (let index = this.#table.count - 1; index >= 0; index--) if (this.#lacks(index)) missing.push(index);
    const index = missing[this.#place() % missing.length];
    return index === undefined ? undefined : [index, index + 1];
  }

  #lacks(index: number): boolean {
    return !hasBit(this.#table.own.have, index);
  }
}
