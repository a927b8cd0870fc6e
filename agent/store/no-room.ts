import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Bounds } from './bounds.ts';

const MIB = 1024 * 1024;

/** How things stand with the store when something has no room. All in bytes of the disk. */
export interface Scarcity extends Bounds {
  /** What the store takes. */
  readonly used: number;
  readonly free: number;
}

/** The error for a file that takes `room`; its message says which of the bounds it is. */
export function noRoom(digest: Digest, room: number, { used, free, maxSize, minFree }: Scarcity): AgentError {
  const why =
    room > maxSize
      ? `store.maxSize is ${inMib(maxSize)}`
      : used + room > maxSize
        ? `store.maxSize is ${inMib(maxSize)}, and the rest is in use or pinned`
        : `the disk has ${inMib(free)} free, store.minFree is ${inMib(minFree)}`;
  return new AgentError('STORE_FULL', `no room for ${digest} of ${inMib(room)}: ${why}`);
}

function inMib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}
