/**
 * One flight a key: who asks for what is already on its way waits for the same outcome. A flight goes on while
 * anybody waits for it and is aborted when the last one leaves.
 */
export class SingleFlight<T> {
  readonly #stopped: AbortSignal;
  readonly #flights = new Map<string, { outcome: Promise<T>; waiting: number; abort: AbortController }>();

  /** @param stopped ends every flight */
  constructor(stopped: AbortSignal) {
    this.#stopped = stopped;
  }

  /** @throws what the flight throws, or the reason of `signal` as soon as it fires */
  async run(key: string, signal: AbortSignal, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      const abort = new AbortController();
      const outcome = act(AbortSignal.any([this.#stopped, abort.signal])).finally(() => {
        if (this.#flights.get(key)?.abort === abort) this.#flights.delete(key);
      });
      // Every waiter may have left by the time it fails.
      outcome.catch(() => {});
      flight = { outcome, waiting: 0, abort };
      this.#flights.set(key, flight);
    }
    flight.waiting++;
    let leave: (() => void) | undefined;
    try {
      const left = new Promise<never>((_, reject) => {
        leave = () => reject(signal.reason);
        signal.addEventListener('abort', leave);
      });
      return await Promise.race([flight.outcome, left]);
    } finally {
      if (leave !== undefined) signal.removeEventListener('abort', leave);
      if (--flight.waiting === 0) {
        // A newcomer must not join a flight that is being called off.
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.abort.abort(signal.reason);
      }
    }
  }
}
