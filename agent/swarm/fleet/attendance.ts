import type { Digest } from '../../../protocol/digest.ts';
import type { Mark } from '../../../protocol/mark.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import type { Attendant } from '../ports.ts';

/** A peer that is connected, as agent/fetch/ports.ts has it. */
export interface Present {
  readonly peer: string;
  readonly address: string;
}

/**
 * Stands between the neighbours and the one attendant, who may come after them: it is told of each neighbour once, of
 * its leaving once, and hears it only in between.
 */
export interface Attendance {
  /** Who is told from now on, first of those who are here already. */
  attend(attendant: Attendant): void;
  came(neighbour: Present): void;
  left(peer: string): void;
  heard(peer: string, message: FleetMessage): void;
  /** See Attendant. */
  chunk(digest: Digest, index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined>;
  /** See Attendant. */
  mark(digest: Digest, index: number): Mark | undefined;
}

export function createAttendance(): Attendance {
  const present = new Map<string, Present>();
  let attendant: Attendant | undefined;
  return {
    attend(next) {
      attendant = next;
      for (const neighbour of [...present.values()]) next.came(neighbour);
    },
    came(neighbour) {
      if (present.has(neighbour.peer)) return;
      present.set(neighbour.peer, neighbour);
      attendant?.came(neighbour);
    },
    left(peer) {
      if (present.delete(peer)) attendant?.left(peer);
    },
    heard(peer, message) {
      if (present.has(peer)) attendant?.heard(peer, message);
    },
    async chunk(digest, index, signal, into) {
      return attendant?.chunk(digest, index, signal, into);
    },
    mark: (digest, index) => attendant?.mark(digest, index),
  };
}
