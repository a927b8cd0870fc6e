import type { BigIntStats } from 'node:fs';
import type { SQLOutputValue } from 'node:sqlite';

/**
 * What a file looked like when its content was last checked. The change time cannot be set by hand, so whoever
 * writes to a blob and puts its modification time back is still seen. (The kernel's clock for files ticks every few
 * milliseconds: a change within the tick of the check itself waits for `recheck`.) Times in nanoseconds.
 */
export interface Stamp {
  readonly inode: bigint;
  readonly size: bigint;
  readonly ctime: bigint;
  readonly mtime: bigint;
}

export function stampOf(stats: BigIntStats): Stamp {
  return {
    // SQLite's integers are signed.
    inode: BigInt.asIntN(64, stats.ino),
    size: stats.size,
    ctime: stats.ctimeNs,
    mtime: stats.mtimeNs,
  };
}

export function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.inode === b.inode && a.size === b.size && a.ctime === b.ctime && a.mtime === b.mtime;
}

/** A stamp as an index's columns have it: inode, file_size, ctime_ns, mtime_ns. */
export function stampColumns({ inode, size, ctime, mtime }: Stamp): [bigint, bigint, bigint, bigint] {
  return [inode, size, ctime, mtime];
}

/** @param row read with BigInts: nanoseconds since the epoch and inodes do not fit a double */
export function stampInRow(row: Record<string, SQLOutputValue>): Stamp {
  return {
    inode: row.inode as bigint,
    size: row.file_size as bigint,
    ctime: row.ctime_ns as bigint,
    mtime: row.mtime_ns as bigint,
  };
}
