import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Repository } from '../oci/reference.ts';
import type { Command } from './command.ts';
import { createGc } from './gc.ts';
import { createLs } from './ls.ts';
import { Mender } from './mend.ts';
import { createPin, createUnpin } from './pin.ts';
import type { Content, Lan, Store } from './ports.ts';
import { createRm } from './rm.ts';
import { Scrub, type ScrubComponents } from './scrub.ts';
import { createVerify } from './verify.ts';

export interface UpkeepComponents {
  readonly store: Store;
  readonly content: Content;
  readonly lan: Lan;
  /** Throws where a repository may not be pulled. */
  readonly admit: (repository: Repository) => void;
  readonly logger: Logger;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
  /** @default node:timers/promises */
  readonly sleep?: ScrubComponents['sleep'];
}

/** What looks after the store: by command, and by itself. */
export interface Upkeep {
  /** By name, for callers on this machine. */
  readonly commands: Readonly<Record<string, Command>>;
  /** Ends what goes on by itself. Never rejects. */
  stop(): Promise<void>;
}

/** Begins to look for rot. The caller stops it, before store and content. */
export function createUpkeep(components: UpkeepComponents): Upkeep {
  const { store, content, lan, logger, now = Date.now } = components;
  const mender = new Mender(components);
  const scrub = new Scrub({ inspection: store.inspection, logger, now, sleep: components.sleep ?? nap });
  scrub.start();
  return {
    commands: {
      ls: createLs(store, lan),
      pin: createPin(store, content),
      unpin: createUnpin(store),
      rm: createRm(store),
      gc: createGc(store),
      verify: createVerify(store, mender, now),
    },
    async stop() {
      await Promise.all([scrub.stop(), mender.stop()]);
    },
  };
}

function nap(milliseconds: number, signal: AbortSignal): Promise<void> {
  return sleep(milliseconds, undefined, { signal, ref: false });
}
