import { DatabaseSync } from 'node:sqlite';

/** Runs `work` whole or not at all. @throws what `work` and SQLite throw */
export type Transaction = (work: () => void) => void;

/** SQLite's way to say that a file is damaged. */
export class BrokenIndexError extends Error {
  override readonly name = 'BrokenIndexError';
}

/**
 * Opens an index.
 * @param migrate brings its schema up to date; `version` is its PRAGMA user_version, 0 of a new one
 * @throws BrokenIndexError; what `migrate` and SQLite throw
 */
export function openDatabase(path: string, migrate: (database: DatabaseSync, version: number) => void): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    // NORMAL, not FULL: FULL fsyncs the log in each transaction, on the main thread, milliseconds at a time. An index
    // never needs it for consistency (a WAL does not tear), and where a row of the store's must last, its sync() fsyncs
    // the log in libuv's pool before anything that could replace the row is removed.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    migrate(database, Number(database.prepare('PRAGMA user_version').get()?.user_version));
    // Damage in a page that opening does not read would show in the middle of pulls, and in each anew. Some milliseconds
    // for thousands of blobs.
    const found = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (found !== 'ok') throw new BrokenIndexError(String(found));
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

export function transactionsOf(database: DatabaseSync): Transaction {
  return (work) => {
    database.exec('BEGIN IMMEDIATE');
    try {
      work();
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  };
}
