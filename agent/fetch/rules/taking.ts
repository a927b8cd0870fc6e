import { type Bitmap, bitmapOf, hasBit } from '../../../protocol/bitmap.ts';

/** From chunk, to before chunk. */
export type Segment = readonly [from: number, to: number];

/** Chunks of a lease. */
export const SEGMENT = 16;

/** Fewer bytes than this are none: at a byte a second a lease would keep others from its chunks. */
const PROGRESS = 32 * 1024;

/** What is known of one agent's part in a blob: what it has, and what it takes from upstream. */
export interface Taking {
  /** Chunks it can give, whatever vouches for them. */
  have: Bitmap;
  /** Chunks it can give that are of use here: with a mark, or matched to the chunk map that is trusted here. */
  usable: Bitmap;
  /** Segments it takes from upstream, or is about to. */
  leases: readonly Segment[];
  /** Bytes it has had from upstream so far. */
  received: number;
  /** When it was last heard of. ms of the caller's clock */
  heardAt: number;
  /** When bytes last came to it under a lease, worth the name; and how many it had then. ms */
  progressAt: number;
  progressBytes: number;
  /** Bytes it had from upstream when its lease began. */
  leaseBytes: number;
  /** Whether no chunk has come under its lease. */
  isFruitless: boolean;
  /** When the chunk it is at was begun, ms; and how many bytes it had from upstream then. */
  chunkAt: number;
  chunkBytes: number;
  /** Its chunks, taken under a lease, that nobody else has had yet; with the time they were first seen. ms */
  readonly unspread: Map<number, number>;
}

export function newTaking(count: number, now: number): Taking {
  return {
    have: bitmapOf(count),
    usable: bitmapOf(count),
    leases: [],
    received: 0,
    heardAt: now,
    progressAt: now,
    progressBytes: 0,
    leaseBytes: 0,
    isFruitless: true,
    chunkAt: now,
    chunkBytes: 0,
    unspread: new Map(),
  };
}

/** Takes note of what it has received by now. @param begins whether its lease has just begun */
export function noteProgress(taking: Taking, begins: boolean, now: number): void {
  if (begins) taking.leaseBytes = taking.received;
  if (!begins && taking.received < taking.progressBytes + PROGRESS) return;
  taking.progressAt = now;
  taking.progressBytes = taking.received;
}

/** It is at another chunk from now on. */
export function beginChunk(taking: Taking, now: number): void {
  taking.chunkAt = now;
  taking.chunkBytes = taking.received;
}

/** Whether it has every one of `count` chunks. */
export function hasAll(have: Bitmap, count: number): boolean {
  for (let index = 0; index < count; index++) if (!hasBit(have, index)) return false;
  return true;
}

export function isWithin(index: number, segments: readonly Segment[]): boolean {
  for (const [from, to] of segments) if (index >= from && index < to) return true;
  return false;
}
