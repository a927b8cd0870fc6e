import { type BigIntStats, statSync } from 'node:fs';
import { access, mkdir, open, opendir, rename, rm, stat, statfs } from 'node:fs/promises';

/** How a file may be opened; as in fopen(3), and x: it must not be there yet. */
export type OpenFlags = 'r' | 'r+' | 'w' | 'wx+' | 'a+';

/** An open file or directory; node:fs/promises' FileHandle is one. What it throws are the system's errors. */
export interface OpenFile {
  /** For the thread that hashes: it reads by itself. */
  readonly fd: number;
  /** May read less than asked. */
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  /** May write less than asked. */
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  /** As {@link sync}, without the times; the length is on disk too. */
  datasync(): Promise<void>;
  stat(options: { readonly bigint: true }): Promise<BigIntStats>;
  /** Waits for the reads and writes under way. */
  close(): Promise<void>;
}

/**
 * The file calls that the store makes, so that tests can let each of them fail, record them, or stop at one. Two read
 * and write past it: SQLite, and the thread that hashes by descriptor. All throw the system's errors.
 */
export interface Files {
  open(path: string, flags: OpenFlags): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; one that is not there is none to remove. */
  rm(path: string): Promise<void>;
  mkdir(path: string, mode: number): Promise<void>;
  /** The names in a directory, read as they are asked for: there may be a hundred thousand. */
  readdir(path: string): AsyncIterable<string>;
  stat(path: string): Promise<BigIntStats>;
  /**
   * Bytes of a file, undefined where it is not there. Holds up everybody for the microseconds it takes: for who must know
   * before he can answer at all.
   */
  sizeNow(path: string): number | undefined;
  /** The file system that `path` lies on: bytes of a block, blocks in all, blocks that this process may still write. */
  statfs(path: string): Promise<{ readonly bsize: number; readonly blocks: number; readonly bavail: number }>;
  /** @param mode of node:fs' constants: F_OK and the like */
  access(path: string, mode: number): Promise<void>;
}

/** Those of the system. */
export const systemFiles: Files = {
  open: (path, flags) => open(path, flags),
  rename,
  rm: (path) => rm(path, { force: true }),
  mkdir: async (path, mode) => {
    await mkdir(path, { mode });
  },
  readdir: namesIn,
  stat: (path) => stat(path, { bigint: true }),
  sizeNow: (path) => statSync(path, { throwIfNoEntry: false })?.size,
  statfs: (path) => statfs(path),
  access,
};

/** Names that are read with one call; a directory's own default is 32. */
const NAMES = 1024;

async function* namesIn(path: string): AsyncGenerator<string> {
  for await (const { name } of await opendir(path, { bufferSize: NAMES })) yield name;
}
