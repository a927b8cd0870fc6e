import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Where a file is written, and how it gets to its place. */
export interface Placement {
  /** Beside `path`; one that an earlier process left is overwritten. */
  readonly temporary: string;
  readonly path: string;
  /** node:fs/promises' `rename`, or `link`, which never replaces what is there. */
  place(temporary: string, path: string): Promise<void>;
}

/**
 * Writes a small file for its owner alone (mode 0600), fsyncs, places it and fsyncs the directory: after it, it is
 * there whole, and after a crash whole or not at all. Makes the directory where there is none.
 * @throws what node:fs throws; nothing is left at `temporary`
 */
export async function writeDurably(bytes: Uint8Array, { temporary, path, place }: Placement): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await place(temporary, path);
    await syncDirectory(dirname(path));
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

/** A new name is on disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
