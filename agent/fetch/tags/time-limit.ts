import { AgentError } from '../../errors.ts';

/** How long the LAN is asked for a manifest that is not held, before the answer that names it. Milliseconds. */
export const LOOK_WITHIN = 2_000;

/** A signal that fires after `ms` milliseconds, with AgentError UPSTREAM_STALLED, unless it is cleared. */
export function timeLimit(ms: number): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(late()), ms);
  timer.unref();
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

/**
 * `outcome`, if it comes within `ms` milliseconds; it goes on where it does not.
 * @throws what `outcome` throws; AgentError UPSTREAM_STALLED when it is late; the reason of `signal` when that fires
 */
export async function within<T>(outcome: Promise<T>, ms: number, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  signal.addEventListener('abort', leave);
  const timer = setTimeout(() => reject(late()), Math.max(0, ms));
  try {
    return await Promise.race([outcome, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  }
}

function late(): AgentError {
  return new AgentError('UPSTREAM_STALLED', 'the upstream registry did not answer in time');
}
