import { hasBit } from '../../../protocol/bitmap.ts';
import type { Part } from './part.ts';
import { STANDSTILL } from './standstill.ts';
import type { Table } from './table.ts';
import { isWithin, type Segment } from './taking.ts';

/** How long one waits for the next in the order to have taken matters in hand; and the longest wait, in turns. ms */
const TURN = 100;
const MOST_TURNS = 16;

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

  /** @param place this agent's in the order of coordinators: one after the other, who comes first tells what it takes */
  constructor(table: Table, part: Part, place: () => number) {
    this.#table = table;
    this.#part = part;
    this.#place = place;
  }

  /** What to take now; undefined for nothing. */
  next(now: number): Segment | undefined {
    const part = this.#part;
    const wasForsaken = part.isForsaken;
    part.isForsaken ||= now >= this.#standsStillAt;
    if (!part.isForsaken || now < this.#notBefore) return undefined;
    const open = this.#open(now);
    if (open === undefined) {
      this.#openAt = undefined;
      return undefined;
    }
    // All see at one moment that a lease has ended: without turns each would take its chunks.
    this.#openAt ??= wasForsaken ? now : Number.NEGATIVE_INFINITY;
    const isAlone = this.#table.others.size === 0;
    return isAlone || now >= this.#openAt + this.#turn ? open : undefined;
  }

  /** A lease is over: where it brought nothing the next may not either, and upstream must not be asked without end. */
  ended(hasBrought: boolean, now: number): void {
    this.#fruitless = hasBrought ? 0 : this.#fruitless + 1;
    const pause = Math.min(LONGEST_PAUSE, FRUITLESS_PAUSE * 2 ** (this.#fruitless - 1));
    this.#notBefore = hasBrought ? Number.NEGATIVE_INFINITY : now + pause;
  }

  /** When {@link next} has something to say, if nothing happens before; each may have passed. */
  get dueAt(): readonly number[] {
    const openAt = this.#openAt ?? Number.POSITIVE_INFINITY;
    return [this.#standsStillAt, openAt + this.#turn, this.#notBefore];
  }

  get #standsStillAt(): number {
    const { gainedAt, movableAt } = this.#part;
    return Math.max(gainedAt, movableAt) + STANDSTILL + this.#turn;
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

  #lacks(index: number): boolean {
    return !hasBit(this.#table.own.have, index);
  }
}
