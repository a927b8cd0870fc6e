/** How long is measured at a time, at least. ms */
const MEASURED_FOR = 1_000;

/** What was measured longer ago says nothing of the line any more. ms */
const REMEMBERED_FOR = 20_000;

/** So many times as many leases are compared with fewer: with hardly more, chance decides. */
const CONTRAST = 1.25;

/** Of as many as this part of the most, about as many. */
const ALIKE = 0.9;

/** What comes is less than this part of the most that ever came: some of the uplink is idle. */
const IDLE = 0.85;

/** And each lease brings no less than this part of what it ever did: it could bring no more, it is capped. */
const EQUAL = 0.9;

/** So many times as much, or as little, as the same leases brought before: it is another line, or another upstream. */
const CHANGED = 2;

/** So much of a lease is within the error of what is measured. */
const ERROR = 0.3;

/** Chunks that came. */
interface Measurement {
  chunks: number;
  /** How long they took, added up. ms */
  time: number;
  /** And that times how many leases there were meanwhile. */
  leaseTime: number;
}

/** Chunks a ms, with how many leases on average, and of each. */
interface Rate {
  readonly all: number;
  readonly leases: number;
  readonly each: number;
  readonly at: number;
}

/**
 * What all leases on the LAN bring, of whatever blob, with so many and so many of them: whether the uplink is full, or
 * upstream gives no one connection all that it could carry. Who makes up chunks can but make the uplink seem full, and a
 * blob has two leases then. Pure; ms.
 */
export class UplinkRate {
  readonly #leases: () => readonly number[];
  /** No more than one for each {@link MEASURED_FOR} of {@link REMEMBERED_FOR}. */
  #rates: Rate[] = [];
  #current = newMeasurement();
  /** Since when it is {@link #current}. */
  #measuredAt = 0;
  #leaseTime = 0;
  #at = Number.NEGATIVE_INFINITY;

  /** @param leases how many there are of each blob that there are any of, as far as is known */
  constructor(leases: () => readonly number[]) {
    this.#leases = leases;
  }

  /** How many there are of all blobs. */
  get leases(): number {
    let leases = 0;
    for (const each of this.#leases()) leases += each;
    return leases;
  }

  /** Of how many blobs there are any. */
  get blobs(): number {
    return this.#leases().length;
  }

  /** For how long there were leases so far, times how many. To be asked before the number of them changes, too. */
  leaseTime(now: number): number {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    if (elapsed <= REMEMBERED_FOR) this.#leaseTime += this.leases * elapsed;
    else {
      // Nobody took anything meanwhile.
      this.#current = newMeasurement();
      this.#measuredAt = now;
    }
    return this.#leaseTime;
  }

  /**
   * A chunk has come. How long they take says more than how many come: of others whole chunks are heard of, and a second
   * has but a few of them.
   * @param since when it was begun @param leaseTime what {@link leaseTime} was then
   */
  note(since: number, leaseTime: number, now: number): void {
    const current = this.#current;
    current.leaseTime += this.leaseTime(now) - leaseTime;
    current.time += now - since;
    current.chunks++;
    // About one of each, so that none weighs more than another.
    const isEnough = current.time > 0 && current.chunks >= current.leaseTime / current.time;
    if (!isEnough || now - this.#measuredAt < MEASURED_FOR) return;
    const leases = current.leaseTime / current.time;
    const each = current.chunks / current.time;
    const rate = { all: each * leases, leases, each, at: now };
    this.#forgetOld(now);
    if (this.#rates.some((before) => isContradiction(before, rate))) this.#rates = [];
    this.#rates.push(rate);
    this.#current = newMeasurement();
    this.#measuredAt = now;
  }

  /** How many there were when it was last measured; undefined where it was not of late. */
  recentLeases(now: number): number | undefined {
    this.#forgetOld(now);
    return this.#rates.at(-1)?.leases;
  }

  /**
   * How many leases it takes for as much as ever came, where fewer brought less and each of them no more; undefined where
   * that was not seen: then a few may carry all there is.
   */
  needed(now: number): number | undefined {
    this.#forgetOld(now);
    const most = highest(this.#rates, ({ all }) => all);
    const best = highest(this.#rates, ({ each }) => each);
    if (most === undefined || best === undefined) return undefined;
    const isCapped = this.#rates.some(
      ({ all, leases, each }) =>
        all <= IDLE * most.all && leases * CONTRAST <= most.leases && each >= EQUAL * best.each,
    );
    return isCapped ? wholeLeases(most.all / best.each) : undefined;
  }

  /** Whether the most leases there were brought no more than fewer did. */
  isFull(now: number): boolean {
    this.#forgetOld(now);
    const most = highest(this.#rates, ({ leases }) => leases)?.leases ?? 0;
    const few = mean(this.#rates.filter(({ leases }) => leases * CONTRAST <= most));
    const many = mean(this.#rates.filter(({ leases }) => leases >= ALIKE * most));
    // Half-way between what each would bring of a full uplink and what it would bring of a cap of its own.
    return few.each > 0 && many.each < (few.each * (1 + few.leases / many.leases)) / 2;
  }

  #forgetOld(now: number): void {
    this.#rates = this.#rates.filter(({ at }) => now - at < REMEMBERED_FOR);
  }
}

/** How many leases make up for what was measured. */
export function wholeLeases(measured: number): number {
  return Math.ceil(measured - ERROR);
}

/**
 * Whether two measurements cannot be of one line: there more leases bring no less in all, and no more each. What a line
 * brought before it changed would count as an idle uplink, or as a full one, for as long as it is remembered.
 */
function isContradiction(one: Rate, other: Rate): boolean {
  const [few, many] = one.leases <= other.leases ? [one, other] : [other, one];
  return few.all >= CHANGED * many.all || many.each >= CHANGED * few.each;
}

function newMeasurement(): Measurement {
  return { chunks: 0, time: 0, leaseTime: 0 };
}

function highest(rates: readonly Rate[], of: (rate: Rate) => number): Rate | undefined {
  let highest: Rate | undefined;
  for (const rate of rates) if (highest === undefined || of(rate) > of(highest)) highest = rate;
  return highest;
}

function mean(rates: readonly Rate[]): Pick<Rate, 'leases' | 'each'> {
  let leases = 0;
  let each = 0;
  for (const rate of rates) {
    leases += rate.leases / rates.length;
    each += rate.each / rates.length;
  }
  return { leases, each };
}
