import type { Logger } from 'pino';
import { briefly } from '../errors.ts';
import { isAbsent } from './bind.ts';

/** Addresses that are to be listened on and are not there yet: the bridge of a Docker that starts after the agent. */
export interface Latecomers {
  /** Those that are still waited for. */
  readonly addresses: readonly string[];
  /** Tries `addresses` again and again, until each is there. To be called once. */
  wait(addresses: readonly string[]): void;
  /** Resolves when nothing is tried any more. */
  stop(): Promise<void>;
}

/**
 * @param open listens on one; throws what {@link isAbsent} knows where it is not there
 * @param every milliseconds between two tries
 */
export function createLatecomers(open: (address: string) => Promise<void>, every: number, logger: Logger): Latecomers {
  let waiting: readonly string[] = [];
  let isStopped = false;
  let round: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  /** What was last said of each, so that it is said once. */
  const told = new Map<string, string>();

  const attempt = async (address: string): Promise<void> => {
    try {
      await open(address);
      waiting = waiting.filter((other) => other !== address);
      logger.info({ address }, 'listening here too, now that it is there');
    } catch (error) {
      if (isAbsent(error)) return;
      // It is there, and cannot be had: taken by somebody else, as a rule.
      const why = String(error);
      if (told.get(address) === why) return;
      told.set(address, why);
      logger.warn({ address, ...briefly(error) }, 'cannot listen here, and goes on trying');
    }
  };
  const tryAll = async (): Promise<void> => {
    for (const address of waiting) {
      if (isStopped) return;
      await attempt(address);
    }
    schedule();
  };
  const schedule = (): void => {
    if (isStopped || waiting.length === 0) return;
    timer = setTimeout(() => {
      round = tryAll();
    }, every);
    timer.unref();
  };

  return {
    get addresses() {
      return waiting;
    },
    wait(addresses) {
      waiting = addresses;
      schedule();
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await round;
    },
  };
}
