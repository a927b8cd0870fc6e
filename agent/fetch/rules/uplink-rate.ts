/** How long is measured at a time, at least. ms */
const MEASURED_FOR = 1_000;

/** What was measured longer ago says nothing of the line any more. ms */
const REMEMBERED_FOR = 20_000;

/** And nothing of what is taken after as long without any lease: that may be of another upstream. ms */
const PAUSE = 2_000;

/** So many times as many leases are compared with fewer: with hardly more, chance decides. */
const CONTRAST = 1.25;

/** Of as many as this part of the most, about as many. */
const ALIKE = 0.9;

/** What comes is less than this part of the most that ever came: some of the uplink is idle. */
const IDLE = 0.85;

/** And each lease brings no less than this part of what it ever did: it could bring no more, it is capped. */
const EQUAL = 0.9;

/** A lease that brings less than this part of what another does is not given the same as that one. */
const EVEN = 0.75;

/** Of so many leases one may bring less than the rest: its holder's own line may be slow. */
const ODD_ONE = 4;

/** Who tells of its lease does so at least as often as this: what is not heard of for longer brings nothing. ms */
const HEARD_WITHIN = 2_500;

/** As many leases, or more, that bring less than this part of what came before: it is another line, or upstream. */
const LESS = 0.7;

/** And so it is where more leases brought so many times as much, each, or as little. */
const CHANGED = 2;

/** Numbers of leases are alike that differ by less. */
const AS_MANY = 0.5;

/** So much of a lease is within the error of what is measured. */
const ERROR = 0.3;

/** What one lease has brought since it was last measured. */
interface Brought {
  bytes: number;
  /** When it was heard of last before that, and so far. ms */
  since: number;
  at: number;
}

/** Bytes a ms, with how many leases on average, and of each. */
interface Rate {
  readonly all: number;
  readonly leases: number;
  readonly each: number;
  /** Whether all brought about the same. */
  readonly isEven: boolean;
  readonly at: number;
}

/**
 * What all leases on the LAN bring, of whatever blob, with so many and so many of them: whether the uplink is full, or
 * upstream gives no one connection all that it could carry. It counts bytes by the clock: connections starve each other,
 * and by how long the chunks take that come, those that bring nothing would seem to bring as much as the others. Who makes
 * up leases or bytes can but make the uplink seem full, or capped: a blob has one lease then, or eight. Pure; ms.
 */
export class UplinkRate {
  readonly #leases: () => number;
  /** No more than one for each {@link MEASURED_FOR} of {@link REMEMBERED_FOR}. */
  #rates: Rate[] = [];
  /** By lease, that is by whatever stands for one; those that last: each is told to end. */
  readonly #brought = new Map<object, Brought>();
  #bytes = 0;
  /** For how long there were any leases since it was last measured; and that times how many. */
  #time = 0;
  #leaseTime = 0;
  #at = Number.NEGATIVE_INFINITY;
  /** When there was a lease last. */
  #busyAt = Number.NEGATIVE_INFINITY;

  /** @param leases how many there are of all blobs, as far as is known */
  constructor(leases: () => number) {
    this.#leases = leases;
  }

  /** How many there are of all blobs. */
  get leases(): number {
    return this.#leases();
  }

  /** To be told before the number of leases changes. */
  elapse(now: number): void {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = now;
    const { leases } = this;
    this.#forgetOld(now);
    if (leases === 0) return;
    this.#busyAt = now;
    if (elapsed > REMEMBERED_FOR) this.#begin();
    else {
      this.#time += elapsed;
      this.#leaseTime += leases * elapsed;
    }
  }

  began(lease: object, now: number): void {
    this.#brought.set(lease, { bytes: 0, since: now, at: now });
  }

  ended(lease: object): void {
    this.#brought.delete(lease);
  }

  /** A lease was heard of: it has brought so many bytes more, or none. */
  note(lease: object, bytes: number, now: number): void {
    this.elapse(now);
    this.#bytes += bytes;
    const brought = this.#brought.get(lease);
    if (brought !== undefined) {
      brought.bytes += bytes;
      brought.at = now;
    }
    if (this.#time < MEASURED_FOR) return;
    const leases = this.#leaseTime / this.#time;
    const all = this.#bytes / this.#time;
    const rate = { all, leases, each: all / leases, isEven: this.#isEven(now), at: now };
    this.#forgetOld(now);
    if (this.#rates.some((before) => isContradiction(before, rate))) this.#rates = [];
    this.#rates.push(rate);
    this.#begin();
  }

  /** How many there were when it was last measured, and whether each brought about as much; undefined where it was not of late. */
  recent(now: number): Pick<Rate, 'leases' | 'isEven'> | undefined {
    this.#forgetOld(now);
    return this.#rates.at(-1);
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

  /** The fewest leases with which nearly as much came as ever, once fewer have brought less; undefined until then. */
  enough(now: number): number | undefined {
    this.#forgetOld(now);
    const most = highest(this.#rates, ({ all }) => all)?.all ?? 0;
    const few = highest(
      this.#rates.filter(({ all }) => all >= IDLE * most),
      ({ leases }) => -leases,
    );
    if (few === undefined) return undefined;
    return this.#rates.some(({ leases }) => leases * CONTRAST <= few.leases) ? wholeLeases(few.leases) : undefined;
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

  /**
   * For how long there have been about as many leases as when it was last measured, and never was each given as much as
   * any other. ms; 0 where they were the last time
   */
  unevenFor(now: number): number {
    this.#forgetOld(now);
    const { leases = 0 } = this.#rates.at(-1) ?? {};
    const other = this.#rates.findLastIndex((rate) => rate.isEven || Math.abs(rate.leases - leases) >= AS_MANY);
    const first = this.#rates[other + 1];
    return first === undefined ? 0 : now - first.at;
  }

  /** Of those leases that there were for most of the time. */
  #isEven(now: number): boolean {
    const rates: number[] = [];
    for (const { bytes, since, at } of this.#brought.values()) {
      if (now - since < MEASURED_FOR / 2) continue;
      if (at > since) rates.push(bytes / (at - since));
      else if (now - at > HEARD_WITHIN) rates.push(0);
    }
    rates.sort((one, other) => one - other);
    const least = rates[Math.floor(rates.length / ODD_ONE)] ?? 0;
    return rates.length > 1 && least >= EVEN * (rates.at(-1) as number);
  }

  #begin(): void {
    this.#bytes = 0;
    this.#time = 0;
    this.#leaseTime = 0;
    for (const brought of this.#brought.values()) {
      brought.bytes = 0;
      brought.since = brought.at;
    }
  }

  #forgetOld(now: number): void {
    if (this.leases === 0 && now - this.#busyAt > PAUSE) this.#rates = [];
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
function isContradiction(before: Rate, now: Rate): boolean {
  if (now.leases > before.leases - AS_MANY && now.all <= LESS * before.all) return true;
  const [few, many] = before.leases <= now.leases ? [before, now] : [now, before];
  return few.all >= CHANGED * many.all || many.each >= CHANGED * few.each;
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
