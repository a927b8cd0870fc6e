import { DatabaseSync } from 'node:sqlite';
import { AgentError } from '../errors.ts';
import { type Layout, unwritable } from './layout.ts';

/** SQLITE_BUSY: somebody else holds the lock. */
const BUSY = 5;

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
export function lockStore(layout: Layout): StoreLock {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(layout.lock, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === BUSY) {
      throw new AgentError('STORE_IN_USE', `store.path ${layout.root} is used by another agent`);
    }
    throw unwritable(layout.root, error);
  }
  const held = database;
  return { release: () => held.close() };
}
