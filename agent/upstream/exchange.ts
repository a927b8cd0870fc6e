import type { Dispatcher } from 'undici';
import { AgentError } from '../errors.ts';
import { orAborted } from './abort.ts';
import { isSilent, upstreamError } from './failure.ts';
import type { UpstreamOptions } from './options.ts';
import type { LostOrigins } from './reach.ts';
import type { Hop, Transport } from './transport.ts';

/** One request and the headers of its answer, over one hop. */
export type Exchange = (
  transport: Transport,
  hop: Hop,
  /** Origins that would be asked next if this one is silent: checked beside it, so that the waits do not add up. */
  fallbacks: readonly string[],
  signal: AbortSignal,
) => Promise<Dispatcher.ResponseData>;

/**
 * Requests that tell soon when nobody is there. A new connection has its own time-out; a kept one that died with the
 * network looks alive for minutes. So where headers are late, a connection of its own shows whether the origin can
 * still be reached: if not, the request ends as UPSTREAM_UNREACHABLE; if so, it may take `headersTimeout`.
 *
 * Each throws `signal`'s reason where that fires, else AgentError UPSTREAM_UNREACHABLE, UPSTREAM_STALLED or
 * UPSTREAM_FAILED.
 */
export function createExchange(lost: LostOrigins, options: UpstreamOptions): Exchange {
  return async (transport, hop, fallbacks, signal) => {
    const { origin, host } = hop.url;
    signal.throwIfAborted();
    if (lost.has(origin, performance.now())) throw unreachable(host, 'it did not answer a moment ago');

    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const check = async (one: string): Promise<boolean> => {
      const isThere = await transport.probe(one);
      if (!isThere) lost.note(one, performance.now());
      return isThere;
    };
    let checks: Promise<void> | undefined;
    const probing = setTimeout(() => {
      // No probe throws.
      checks = Promise.all([origin, ...fallbacks].map(check)).then(([isThere]) => {
        if (!isThere) stop.abort(unreachable(host, 'it stopped answering'));
      });
    }, options.probeAfter);
    // In the long lane a request may wait for its turn first; undici counts its headers' time from when it is sent.
    const giveUp =
      hop.lane === 'long'
        ? undefined
        : setTimeout(
            () => stop.abort(new AgentError('UPSTREAM_STALLED', `${host} does not answer`)),
            options.headersTimeout,
          );
    try {
      const answer = await orAborted(transport.request(hop, either), either);
      lost.forget(origin);
      // Destroying a body that nobody reads any more emits this.
      answer.body.on('error', () => {});
      return answer;
    } catch (error) {
      signal.throwIfAborted();
      if (isSilent(error)) {
        lost.note(origin, performance.now());
        // What the checks are about to say of the fallbacks spares the next endpoint a wait of its own.
        if (checks !== undefined && fallbacks.length > 0) await orAborted(checks, signal);
      }
      throw upstreamError(error, host);
    } finally {
      clearTimeout(probing);
      clearTimeout(giveUp);
    }
  };
}

function unreachable(host: string, why: string): AgentError {
  return new AgentError('UPSTREAM_UNREACHABLE', `${host} cannot be reached: ${why}`);
}
