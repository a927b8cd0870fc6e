import type { Bitmap } from '../../../protocol/bitmap.ts';
import type { Digest } from '../../../protocol/digest.ts';
import type { Partners } from './partners.ts';
import type { TakingMessage } from './table.ts';
import type { Taking } from './taking.ts';

/** The least time between two announcements: what changes meanwhile is told in one. ms */
const ANNOUNCE_WITHIN = 50;

/**
 * How often an agent tells what is no news to most, such as a chunk that others of a few have too: of all its blobs at the
 * same instants, since what goes at once goes in one piece, and the way of a piece is nearly all that it costs. ms
 */
const BEAT = 250;

/** Neighbours hear at least this often that this agent is at it; and among many. ms */
const HEARTBEAT = 1_000;
const HEARTBEAT_AMONG_MANY = 2_000;

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
  readonly #phase: number;
  #at = Number.NEGATIVE_INFINITY;
  #dueAt = Number.NEGATIVE_INFINITY;

  /** @param seed the agent's own, the same for all its blobs: not all agents are to tell at the same instants */
  constructor(seed: number) {
    this.#phase = seed % BEAT;
  }

  /** When the next announcement is due. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Something is to be told soon. */
  news(): void {
    this.#within(this.#at + ANNOUNCE_WITHIN);
  }

  /** Something is to be told that can wait. */
  remark(): void {
    this.#within(this.#beatAfter(this.#at + ANNOUNCE_WITHIN));
  }

  /** Something is to be told now. */
  urge(): void {
    this.#dueAt = Number.NEGATIVE_INFINITY;
  }

  /** Whether it is told now; it counts as told. @param isAmongMany see {@link Partners.isAmongMany} */
  turn(now: number, isAmongMany: boolean): boolean {
    if (now < this.#dueAt) return false;
    this.#at = now;
    this.#dueAt = this.#beatAfter(now + (isAmongMany ? HEARTBEAT_AMONG_MANY : HEARTBEAT) - BEAT);
    return true;
  }

  #within(at: number): void {
    this.#dueAt = Math.min(this.#dueAt, at);
  }

  #beatAfter(at: number): number {
    return Math.ceil((at - this.#phase) / BEAT) * BEAT + this.#phase;
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
