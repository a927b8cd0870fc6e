/** What happens when, in virtual time (ms): a binary heap. What is due at the same time happens in the order it was set. */
export class Agenda {
  now = 0;
  /** Things that have happened. */
  happened = 0;
  readonly #times: number[] = [];
  readonly #turns: number[] = [];
  readonly #acts: (() => void)[] = [];
  #turn = 0;

  get isEmpty(): boolean {
    return this.#times.length === 0;
  }

  at(time: number, act: () => void): void {
    let place = this.#times.length;
    const when = Math.max(time, this.now);
    const turn = this.#turn++;
    this.#times.push(when);
    this.#turns.push(turn);
    this.#acts.push(act);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if ((this.#times[parent] as number) <= when) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#put(place, when, turn, act);
  }

  after(delay: number, act: () => void): void {
    this.at(this.now + delay, act);
  }

  /** Lets one thing happen. */
  step(): void {
    this.now = this.#times[0] as number;
    const act = this.#acts[0] as () => void;
    const last = this.#times.length - 1;
    const when = this.#times[last] as number;
    const turn = this.#turns[last] as number;
    const moved = this.#acts[last] as () => void;
    this.#times.pop();
    this.#turns.pop();
    this.#acts.pop();
    if (last > 0) this.#sink(when, turn, moved, last);
    this.happened++;
    act();
  }

  #sink(when: number, turn: number, act: () => void, length: number): void {
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isBefore(child + 1, this.#times[child] as number, this.#turns[child] as number)) {
        child++;
      }
      if (!this.#isBefore(child, when, turn)) break;
      this.#move(child, place);
      place = child;
    }
    this.#put(place, when, turn, act);
  }

  #isBefore(place: number, when: number, turn: number): boolean {
    const time = this.#times[place] as number;
    return time < when || (time === when && (this.#turns[place] as number) < turn);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from] as number, this.#turns[from] as number, this.#acts[from] as () => void);
  }

  #put(place: number, when: number, turn: number, act: () => void): void {
    this.#times[place] = when;
    this.#turns[place] = turn;
    this.#acts[place] = act;
  }
}
