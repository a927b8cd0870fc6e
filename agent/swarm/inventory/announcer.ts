import type { Stream } from '@libp2p/interface';
import type { Logger } from 'pino';
import { encodeFrame } from '../../../protocol/frame.ts';
import { type Announcement, controlRequests } from '../../../protocol/messages.ts';
import { briefly } from '../../errors.ts';
import type { ControlClient } from '../control/client.ts';
import { sendDrained } from '../stream/sink.ts';
import { announcementsOf } from './announcements.ts';
import { createPending } from './pending.ts';
import { retellDelay } from './retell.ts';
import type { Roster } from './roster.ts';

/** Tells one neighbour what this agent holds, for as long as it is connected. */
export interface Announcer {
  stop(): void;
}

export interface AnnouncerComponents {
  readonly peer: string;
  readonly control: Pick<ControlClient, 'open'>;
  readonly roster: Roster;
  readonly logger: Logger;
}

export interface AnnouncerInit {
  /** ms after which a neighbour that takes no announcement has stalled. */
  readonly stallTimeout: number;
}

/**
 * Everything at once, then what changes, on the control stream; everything anew where that stream broke, for what a
 * neighbour was told counts only as long as the stream it was told on.
 */
export function startAnnouncer(components: AnnouncerComponents, init: AnnouncerInit): Announcer {
  const stop = new AbortController();
  run(components, init, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) components.logger.error({ peer: components.peer, err: error }, 'announcing failed');
  });
  return { stop: () => stop.abort(new Error('no longer needed')) };
}

async function run({ peer, control, roster, logger }: AnnouncerComponents, init: AnnouncerInit, signal: AbortSignal) {
  let failures = 0;
  while (!signal.aborted) {
    let openedAt: number | undefined;
    try {
      const stream = await control.open();
      openedAt = performance.now();
      await tell(stream, roster, init.stallTimeout, signal);
    } catch (error) {
      if (signal.aborted) return;
      const lasted = openedAt === undefined ? undefined : performance.now() - openedAt;
      const { wait, failures: after } = retellDelay(failures, lasted);
      failures = after;
      logger.debug({ peer, wait, ...briefly(error) }, 'a neighbour takes no announcements');
      await sleep(wait, signal);
    }
  }
}

/** Tells all, then every change, until the stream ends. @throws AgentError PEER_…; why the stream or `signal` ended */
async function tell(stream: Stream, roster: Roster, stallTimeout: number, signal: AbortSignal): Promise<void> {
  const pending = createPending(roster.whole());
  const ends = new AbortController();
  const onStop = (): void => ends.abort(signal.reason);
  const onClose = (): void => ends.abort(new Error('the control stream ended'));
  signal.addEventListener('abort', onStop);
  stream.addEventListener('close', onClose);
  let wake: (() => void) | undefined;
  const unsubscribe = roster.onChange((digest) => {
    pending.changed(digest, performance.now());
    wake?.();
  });
  /** One message's worth is queued at most: what waits for a slow neighbour waits as digests in `pending`. */
  const send = (message: Announcement): Promise<void> =>
    sendDrained(stream, encodeFrame(controlRequests.encode(message)), stallTimeout, ends.signal);

  let saidTruncated = false;
  try {
    if (stream.status !== 'open') onClose();
    for (;;) {
      ends.signal.throwIfAborted();
      const step = pending.next(performance.now());
      if (step.kind === 'overflow') throw new Error('more has changed than the neighbour takes');
      if (step.kind === 'complete') {
        saidTruncated = roster.isTruncated;
        await send({ type: 'complete', truncated: saidTruncated });
      } else if (step.kind === 'tell') {
        for (const message of announcementsOf(step.digests, roster)) await send(message);
        // Otherwise a whole of many thousand blobs would be encoded in one go where the network is fast.
        await new Promise(setImmediate);
      } else if (roster.isTruncated && !saidTruncated) {
        saidTruncated = true;
        await send({ type: 'complete', truncated: true });
      } else {
        await woken(step.until, ends.signal, (resolve) => {
          wake = resolve;
        });
      }
    }
  } catch (error) {
    // Half of what was to be told is worse than nothing: the neighbour forgets it with the stream.
    stream.abort(error instanceof Error ? error : new Error(String(error)));
    throw error;
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', onStop);
    stream.removeEventListener('close', onClose);
  }
}

/** Waits for a time, a wake or the signal, whichever is first; never rejects. */
function woken(until: number, signal: AbortSignal, arm: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = Number.isFinite(until) ? setTimeout(() => done(), Math.max(until - performance.now(), 0)) : undefined;
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
    arm(done);
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return woken(performance.now() + ms, signal, () => {});
}
