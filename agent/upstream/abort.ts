/**
 * `work`'s outcome, or the signal's reason as soon as it fires. For work that ends by itself but not at once: undici
 * hears of an abort only when a request has its connection, and a token is fetched for several at once.
 */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
