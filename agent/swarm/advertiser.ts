import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { createAdvertiseSchedule, MAX_ADVERTISED } from './advertise.ts';
import { isDhtKey, provide, unprovide } from './dht.ts';
import { type Node, PROVIDER_VALIDITY } from './node.ts';
import type { Holdings } from './ports.ts';

/** How long one provide may take. ms. */
const PROVIDE_TIMEOUT = 30_000;

/** How often the loop looks for something to do where nothing tells it sooner. ms. */
const LOOK = 60_000;

/** Keeps the DHT told of what is held. */
export interface Advertiser {
  /** Looks now: somebody to tell has connected. */
  wake(): void;
  stop(): void;
}

export interface AdvertiserComponents {
  readonly node: Node;
  readonly holdings: Holdings;
  readonly logger: Logger;
  /** Whether anybody is there to be told. */
  hasNeighbours(): boolean;
}

/** @param calm how long nothing is advertised after a blob came to be held, ms */
export function startAdvertiser(
  { node, holdings, logger, hasNeighbours }: AdvertiserComponents,
  calm: number,
): Advertiser {
  const schedule = createAdvertiseSchedule({ validity: PROVIDER_VALIDITY, calm });
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running = false;

  const forget = (digest: Digest): void => {
    unprovide(node, digest).catch((error) => logger.debug({ digest, err: error }, 'a DHT record was not cancelled'));
  };
  const hold = (digest: Digest): void => {
    if (!isDhtKey(digest)) return;
    const displaced = schedule.hold(digest, performance.now());
    if (displaced !== undefined) forget(displaced);
    wake();
  };

  const step = async (): Promise<void> => {
    // Alone there is nobody to tell, and a provide would count as done.
    if (running || stop.signal.aborted || !hasNeighbours()) return;
    running = true;
    try {
      for (;;) {
        const now = performance.now();
        const { digest, lookAgainAt } = schedule.next(now);
        if (digest === undefined) {
          lookIn(Math.min(lookAgainAt - now, LOOK));
          return;
        }
        await advertise(digest);
        if (stop.signal.aborted) return;
      }
    } finally {
      running = false;
    }
  };

  const advertise = async (digest: Digest): Promise<void> => {
    const before = process.cpuUsage();
    let succeeded = false;
    try {
      // With nobody in the routing table yet the record would lie here alone until its renewal.
      succeeded =
        (await provide(node, digest, AbortSignal.any([stop.signal, AbortSignal.timeout(PROVIDE_TIMEOUT)]))) > 0;
    } catch (error) {
      logger.debug({ digest, err: error }, 'a blob was not advertised');
    }
    // The whole process's, as nothing finer is to be had: a busy agent advertises less.
    const { user, system } = process.cpuUsage(before);
    schedule.done(digest, performance.now(), succeeded, (user + system) / 1_000);
    if (holdings.held(digest) === undefined) {
      schedule.drop(digest);
      forget(digest);
    }
  };

  const lookIn = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(wake, ms);
    timer.unref();
  };
  const wake = (): void => {
    step().catch((error) => logger.debug({ err: error }, 'advertising failed'));
  };

  // Oldest first: what is held last goes to the front.
  for (const digest of holdings.recent(MAX_ADVERTISED).filter(isDhtKey).reverse()) schedule.hold(digest);
  const unsubscribe = [
    holdings.onHold(hold),
    holdings.onDrop((digest) => {
      if (schedule.drop(digest)) forget(digest);
    }),
  ];
  wake();
  return {
    wake,
    stop() {
      stop.abort(new Error('the agent stops'));
      clearTimeout(timer);
      for (const end of unsubscribe) end();
    },
  };
}
