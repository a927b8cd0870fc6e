/**
 * Wakes whoever waits for something to be different: a chunk marked, a holder found, an end.
 * Nothing is remembered between wakes, so look at the state, then wait.
 */
export class Change {
  #waiting = new Set<() => void>();

  /** Wakes all who wait now. */
  notify(): void {
    const waiting = this.#waiting;
    if (waiting.size === 0) return;
    this.#waiting = new Set();
    for (const wake of waiting) wake();
  }

  /**
   * Resolves at the next {@link notify}, after `ms` milliseconds (where finite), or when `signal` fires; never rejects,
   * so the caller looks at its signal.
   */
  next(signal: AbortSignal, ms: number = Number.POSITIVE_INFINITY): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = Number.isFinite(ms) ? setTimeout(done, Math.max(0, ms)) : undefined;
      signal.addEventListener('abort', done);
      this.#waiting.add(done);
    });
  }
}
