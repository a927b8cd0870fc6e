import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetAgent } from './agents.ts';
import type { FleetLab } from './lab.ts';
import type { Published } from './registry.ts';
import { MissedWindowError } from './row.ts';

/** "In mid-flight" is between these parts of the bytes that the uplink carries for one copy. */
const EARLIEST = 0.2;
const LATEST = 0.8;
/** Milliseconds between two looks at the counter: at 100 Mbit, 60 KiB. */
const EVERY = 5;

/** What a fault finds while the pulls run. */
export interface Stage {
  readonly lab: FleetLab;
  /** The running agents of the fleet, by host. */
  readonly agents: readonly FleetAgent[];
  readonly images: readonly Published[];
  /** The part of one copy that the uplink has carried so far. */
  carried(): number;
  /** Waits until that part has been carried. @throws MissedWindowError where the pulls end before */
  untilCarried(part: number): Promise<void>;
  /** Runs what goes wrong, and notes when. @throws MissedWindowError where that was outside mid-flight */
  break(act: () => void | Promise<void>): Promise<void>;
  /** This host's puller does not count any more: it lost its agent. */
  forgive(host: number): void;
  /** Adds a pull that counts, on a host whose agent came late. */
  join(host: number): Promise<void>;
  /** Starts an agent on a host that had none, with an identity that ranks highest for `digest`. */
  startCoordinator(host: number, digest: string): Promise<FleetAgent>;
}

export interface Flight {
  readonly carried: () => number;
  readonly isOver: () => boolean;
}

/** The part of {@link Stage} that watches the uplink, and what it saw. */
export function watchFlight({ carried, isOver }: Flight) {
  let seen: { from: number; to: number } | undefined;
  return {
    carried,
    seen: () => seen,
    async untilCarried(part: number) {
      while (carried() < part) {
        if (isOver()) throw new MissedWindowError(`all was over at ${carried().toFixed(2)} of a copy`);
        await sleep(EVERY);
      }
    },
    async break(act: () => void | Promise<void>) {
      const from = carried();
      await act();
      const to = carried();
      seen = { from: Math.min(from, seen?.from ?? from), to };
      if (from < EARLIEST || to > LATEST || isOver())
        throw new MissedWindowError(`the fault lasted from ${from.toFixed(2)} to ${to.toFixed(2)} of a copy`);
    },
  };
}
