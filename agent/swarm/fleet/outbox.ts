import type { Digest } from '../../../protocol/digest.ts';
import type { FleetMessage } from '../../../protocol/messages.ts';
import { WAITING_FLEET_MESSAGES, WAITING_STATES } from '../limits.ts';

/** Fleet messages that wait for one neighbour to take them, encoded, in the order in which they are to go. Pure. */
export interface Outbox {
  readonly size: number;
  add(message: FleetMessage, frame: Uint8Array): void;
  /** The next to go, as many as fit in `limit` bytes and at least one, in one piece; they count as gone. */
  take(limit: number): Uint8Array | undefined;
  clear(): void;
}

/** Of states, which replace each other, one a blob; of what does not, the latest few. */
export function createOutbox(): Outbox {
  /** By digest for `taking`, by a number for all else; a map's order is the order of arrival. */
  const waiting = new Map<Digest | number, Uint8Array>();
  let others = 0;
  let added = 0;

  const dropOldest = (kind: 'string' | 'number'): void => {
    for (const key of waiting.keys()) {
      if (typeof key !== kind) continue;
      waiting.delete(key);
      return;
    }
  };

  return {
    get size() {
      return waiting.size;
    },
    add(message, frame) {
      if (message.type === 'taking') {
        // To the end, not to the old one's place: what was said between the two stays between them.
        waiting.delete(message.digest);
        waiting.set(message.digest, frame);
        if (waiting.size - others > WAITING_STATES) dropOldest('string');
        return;
      }
      // Who has left takes nothing any more.
      if (message.type === 'left') waiting.delete(message.digest);
      waiting.set(added, frame);
      added += 1;
      others += 1;
      if (others > WAITING_FLEET_MESSAGES) {
        others -= 1;
        dropOldest('number');
      }
    },
    take(limit) {
      const frames: Uint8Array[] = [];
      let length = 0;
      for (const [key, frame] of waiting) {
        length += frame.length;
        if (length > limit && frames.length > 0) break;
        waiting.delete(key);
        if (typeof key === 'number') others -= 1;
        frames.push(frame);
      }
      // Not a copy of the one: it is shared by all who are told.
      return frames.length > 1 ? Buffer.concat(frames) : frames[0];
    },
    clear() {
      waiting.clear();
      others = 0;
    },
  };
}
