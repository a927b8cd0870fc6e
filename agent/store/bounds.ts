import type { Files } from './files.ts';

/** How far the store may grow. Bytes of the disk. */
export interface Bounds {
  /** The most the store may take. */
  readonly maxSize: number;
  /** What it leaves free. */
  readonly minFree: number;
}

/** Some tens of images. Bytes. */
const DEFAULT_MAX_SIZE = 20 * 1024 ** 3;

/** Of the disk's capacity, where that is less: an agent nobody configured must not be what fills a small disk. */
const DEFAULT_SHARE = 1 / 5;

/** What the store may take of a disk of `capacity` bytes where nobody says. */
export function defaultMaxSize(capacity: number): number {
  return Math.min(DEFAULT_MAX_SIZE, Math.floor(capacity * DEFAULT_SHARE));
}

/** Bytes of the file system at `path` in all. */
export async function capacityOf(files: Pick<Files, 'statfs'>, path: string): Promise<number> {
  const { blocks, bsize } = await files.statfs(path);
  return blocks * bsize;
}

/** Bytes that this process may still write at `path`. */
export async function freeOf(files: Pick<Files, 'statfs'>, path: string): Promise<number> {
  const { bavail, bsize } = await files.statfs(path);
  return bavail * bsize;
}
