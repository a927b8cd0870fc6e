/** Gives a place back; a second call does nothing. */
export type Leave = () => void;

/** A bounded number of places; who comes when all are taken waits, and is let in in turn. */
export class Places {
  #free: number;
  /** A Set keeps the order, and lets one leave from the middle. */
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#free = places;
  }

  /** @throws the reason of `signal` where it fires first */
  async take(signal: AbortSignal): Promise<Leave> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      const [next] = this.#waiting;
      if (next === undefined) this.#free++;
      else next();
    };
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const over = () => {
        this.#waiting.delete(enter);
        signal.removeEventListener('abort', onAbort);
      };
      const enter = () => {
        over();
        resolve();
      };
      const onAbort = () => {
        over();
        reject(signal.reason);
      };
      this.#waiting.add(enter);
      signal.addEventListener('abort', onAbort);
    });
  }
}
