/** Refusals that name nobody who fetches, after which the next in the order is asked. */
const EMPTY_REFUSALS = 2;

/** Who did not answer is not asked again for this long. ms */
const UNREACHABLE_FOR = 3_000;

/** How long to wait after a refusal before asking again: somebody fetches, and a lease that ends is seen. ms */
const REFUSED_PAUSE = 1_000;

/** And where the refusal named nobody who does. ms */
const EMPTY_PAUSE = 50;

/** After a lease that brought nothing, twice as long after each further one; and at most. ms */
const FRUITLESS_PAUSE = 100;
const LONGEST_PAUSE = 2_000;

/** Whom a claim for a lease goes to, and what becomes of it. Pure; times in ms. */
export class Claimant {
  readonly #timeout: () => number;
  #asked: { readonly peer: string; readonly at: number } | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;
  #fruitless = 0;
  readonly #refusals = new Map<string, number>();
  readonly #unreachable = new Map<string, number>();

  /** @param timeout how long a coordinator may take to answer, ms */
  constructor(timeout: () => number) {
    this.#timeout = timeout;
  }

  /** Whom to ask now, of `order`, which has this agent in it and so comes to an end; undefined where it must wait. */
  next(order: readonly string[], now: number): string | undefined {
    if (this.#asked !== undefined) {
      if (now - this.#asked.at < this.#timeout()) return undefined;
      this.#unreachable.set(this.#asked.peer, now + UNREACHABLE_FOR);
      this.#asked = undefined;
    }
    if (now < this.#notBefore) return undefined;
    const peer = order.find(
      (each) => (this.#unreachable.get(each) ?? 0) <= now && (this.#refusals.get(each) ?? 0) < EMPTY_REFUSALS,
    );
    // Everybody, this agent among them, has refused without a reason that can be seen: from the start again.
    if (peer === undefined) this.#refusals.clear();
    return peer ?? order[0];
  }

  asked(peer: string, now: number): void {
    this.#asked = { peer, at: now };
  }

  isAsked(peer: string): boolean {
    return this.#asked?.peer === peer;
  }

  /** A lease was got: whoever was passed over may be asked again. */
  granted(): void {
    this.#asked = undefined;
    // Its holder asks again when it runs out, and then at once.
    this.#notBefore = Number.NEGATIVE_INFINITY;
    this.#refusals.clear();
  }

  /** @param isFetched whether somebody it names fetches, as far as can be seen from here */
  refused(peer: string, isFetched: boolean, now: number): void {
    if (this.isAsked(peer)) this.#asked = undefined;
    if (isFetched) this.#refusals.delete(peer);
    else this.#refusals.set(peer, (this.#refusals.get(peer) ?? 0) + 1);
    this.#notBefore = now + (isFetched ? REFUSED_PAUSE : EMPTY_PAUSE);
  }

  /** A lease is over. @param broughtAny whether it brought a chunk: where it did not, the next may not either */
  ended(broughtAny: boolean, now: number): void {
    this.#fruitless = broughtAny ? 0 : this.#fruitless + 1;
    // There is a lease less by now than when it was refused the next.
    if (broughtAny) {
      this.freed();
      return;
    }
    const pause = Math.min(LONGEST_PAUSE, FRUITLESS_PAUSE * 2 ** (this.#fruitless - 1));
    this.#notBefore = Math.max(this.#notBefore, now + pause);
  }

  /** What was refused for another's sake may be free: it is asked for again at once. */
  freed(): void {
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /** Nothing is asked for this long. ms */
  wait(ms: number, now: number): void {
    this.#notBefore = Math.max(this.#notBefore, now + ms);
  }

  /** A neighbour is gone. */
  left(peer: string): void {
    if (this.isAsked(peer)) this.#asked = undefined;
    this.#refusals.delete(peer);
    this.#unreachable.delete(peer);
  }

  /** When {@link next} may have something to say. */
  get dueAt(): number {
    return this.#asked === undefined ? this.#notBefore : this.#asked.at + this.#timeout();
  }
}
