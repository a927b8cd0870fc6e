import type { Segment } from './taking.ts';

/** How far ahead the holder of an open-ended lease announces what it takes, so that others find room behind it. Chunks. */
const ANNOUNCED_AHEAD = 16;

/** What this agent takes from upstream for one blob, and what comes after it. Pure. */
export class Lease {
  #current: { at: number; to: number; isOpen: boolean } | undefined;
  #next: Segment | undefined;

  get isHeld(): boolean {
    return this.#current !== undefined;
  }

  /** Whether it is at its last chunk, with nothing to follow: time to ask for more, so that upstream is never idle. */
  get isRunningOut(): boolean {
    return this.#current !== undefined && this.#next === undefined && this.#current.to - this.#current.at <= 1;
  }

  /** An open-ended lease ends where its announcement says from now on. */
  close(): void {
    const current = this.#current;
    if (!current?.isOpen) return;
    current.to = this.#announcedEnd;
    current.isOpen = false;
  }

  /** Whether chunk `index` lies behind what is held. */
  isBehind(index: number): boolean {
    return this.#current !== undefined && index >= this.#current.to;
  }

  /** The segments as they are announced. */
  get segments(): Segment[] {
    const segments: Segment[] = [];
    if (this.#current !== undefined && this.#current.at < this.#current.to) {
      segments.push([this.#current.at, this.#announcedEnd]);
    }
    if (this.#next !== undefined) segments.push(this.#next);
    return segments;
  }

  /** The chunk that is coming from upstream just now. */
  get at(): number | undefined {
    return this.#current !== undefined && this.#current.at < this.#current.to ? this.#current.at : undefined;
  }

  covers(index: number): boolean {
    const { at = 0, to = 0 } = this.#current ?? {};
    return (index >= at && index < to) || (this.#next !== undefined && index >= this.#next[0] && index < this.#next[1]);
  }

  /** A segment was granted. True where it is to be begun now; else it follows the one that is held. */
  add(segment: Segment): boolean {
    if (this.#current !== undefined) {
      this.#next = segment;
      return false;
    }
    this.#begin(segment);
    return true;
  }

  /** A chunk more is there, from wherever: a chunk from a peer behind the lease must not end it. */
  advance(isThere: (index: number) => boolean): void {
    const current = this.#current;
    while (current !== undefined && current.at < current.to && isThere(current.at)) current.at++;
  }

  /** It goes on to before chunk `to`, whether it was granted or not. */
  extend(to: number): void {
    if (this.#current === undefined) return;
    this.#current.to = to;
    this.#current.isOpen = false;
  }

  /** Nothing from chunk `index` on is taken. */
  cut(index: number): void {
    if (this.#current !== undefined) this.#current.to = Math.min(this.#current.to, index);
  }

  /** The current one is over. Gives what comes next, which is begun. */
  end(): Segment | undefined {
    const next = this.#next;
    this.#current = undefined;
    this.#next = undefined;
    if (next !== undefined) this.#begin(next);
    return next;
  }

  /** There is nothing to be had from upstream any more. */
  dropNext(): void {
    this.#next = undefined;
  }

  #begin([from, to]: Segment): void {
    this.#current = { at: from, to, isOpen: to - from > ANNOUNCED_AHEAD };
  }

  get #announcedEnd(): number {
    const { at = 0, to = 0, isOpen = false } = this.#current ?? {};
    return isOpen ? Math.min(to, at + ANNOUNCED_AHEAD) : to;
  }
}
