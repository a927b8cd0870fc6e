import { DatabaseSync } from 'node:sqlite';
import { AgentError } from '../errors.ts';
import type { Files } from './files.ts';
import { type Layout, unwritable } from './layout.ts';

/** SQLITE_BUSY: somebody else holds the lock. */
const BUSY = 5;

/** SQLITE_CORRUPT and SQLITE_NOTADB: the file is damaged, and nobody holds a lock on it. */
const BROKEN = [11, 26];

/** A held lock. */
export interface StoreLock {
  release(): void;
}

/**
 * Takes the store for this agent: an exclusive transaction on an otherwise empty database, held for life. The kernel
 * drops SQLite's lock with the process, however that ends, so nothing stale is ever left to be judged by its age; and
 * SQLite also tells two agents of one process apart, which a bare fcntl lock does not.
 *
 * @throws AgentError STORE_IN_USE, STORE_UNWRITABLE
 */
export async function lockStore(files: Files, layout: Layout): Promise<StoreLock> {
  try {
    const held = await beginExclusive(files, layout.lock);
    return { release: () => held.close() };
  } catch (error) {
    if (codeOf(error) === BUSY) {
      throw new AgentError('STORE_IN_USE', `store.path ${layout.root} is used by another agent`);
    }
    throw unwritable(layout.root, error);
  }
}

/** There is nothing in the file to lose: a damaged one is emptied, in place, since a new file would be another lock. */
async function beginExclusive(files: Files, path: string): Promise<DatabaseSync> {
  try {
    return begin(path);
  } catch (error) {
    if (!BROKEN.includes(codeOf(error))) throw error;
    const file = await files.open(path, 'r+');
    try {
      await file.truncate(0);
    } finally {
      await file.close();
    }
    return begin(path);
  }
}

function begin(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function codeOf(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}
