import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { FleetMessage } from '../../../protocol/messages.ts';
import { FLEET_BURST, FLEET_RATE, KNOWN_PEERS } from '../limits.ts';
import type { Attendance } from './attendance.ts';
import { createPace, type Pace } from './pace.ts';

/** Takes the fleet messages of one control stream. */
export interface Hearing {
  /**
   * Hands a message on. What it returns is to be awaited before the next is read: who sends more than it may is read
   * more slowly, and that holds it back. @throws the signal's reason
   */
  hear(message: FleetMessage, signal: AbortSignal): Promise<void> | undefined;
}

export interface Hearings {
  /** For a control stream that `peer` has opened: its streams share one pace. */
  open(peer: string): Hearing;
}

export interface HearingsComponents {
  readonly attendance: Pick<Attendance, 'heard'>;
  /** Told of every message. */
  onHeard(): void;
  isBanned(peer: string): boolean;
  /** Monotonic, ms. */
  now(): number;
}

export function createHearings({ attendance, onHeard, isBanned, now }: HearingsComponents): Hearings {
  const paces = new LRUCache<string, Pace>({ max: KNOWN_PEERS });
  return {
    open(peer) {
      const pace = paces.get(peer) ?? createPace({ rate: FLEET_RATE, burst: FLEET_BURST });
      paces.set(peer, pace);
      return {
        hear(message, signal) {
          onHeard();
          if (!isBanned(peer)) attendance.heard(peer, message);
          const wait = pace.take(now());
          return wait === 0 ? undefined : delay(wait, undefined, { signal });
        },
      };
    },
  };
}
