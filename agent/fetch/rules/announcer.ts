import type { Bitmap } from '../../../protocol/bitmap.ts';
import type { Digest } from '../../../protocol/digest.ts';
import type { TakingMessage } from './table.ts';
import type { Taking } from './taking.ts';

/** The least time between two announcements: what changes meanwhile is told in one. ms */
const ANNOUNCE_WITHIN = 50;

/** The same for what is no news to most: a chunk that others of a few have too. */
const RELAYED_WITHIN = 250;

/** Neighbours hear at least this often that this agent is at it. ms */
const HEARTBEAT = 1_000;

/** What is announced. */
interface State {
  readonly digest: Digest;
  readonly size: number | null;
  readonly own: Taking;
  readonly marked: Bitmap;
  readonly mapped: Bitmap;
  readonly root: Uint8Array | undefined;
}

/** When an agent tells of its part in a blob, and in what words. Pure; ms. */
export class Announcer {
  /** How long after the last announcement the next is due. */
  #within = ANNOUNCE_WITHIN;
  #at = Number.NEGATIVE_INFINITY;

  /** Something is to be told soon. */
  news(): void {
    this.#within = ANNOUNCE_WITHIN;
  }

  /** Something is to be told that can wait. */
  remark(): void {
    this.#within = Math.min(this.#within, RELAYED_WITHIN);
  }

  /** Something is to be told now. */
  urge(): void {
    this.#within = ANNOUNCE_WITHIN;
    this.#at = Number.NEGATIVE_INFINITY;
  }

  get dueAt(): number {
    return this.#at + this.#within;
  }

  /** Whether it is told now; it counts as told. */
  turn(now: number): boolean {
    if (now < this.dueAt) return false;
    this.#within = HEARTBEAT;
    this.#at = now;
    return true;
  }

  message({ digest, size, own, marked, mapped, root }: State): TakingMessage {
    return {
      type: 'taking',
      digest,
      size,
      marks: Uint8Array.from(marked),
      mapped: root === undefined ? null : [root, Uint8Array.from(mapped)],
      leases: own.leases.map(([from, to]): [number, number] => [from, to]),
      received: own.received,
    };
  }
}
