import type { DatabaseSync } from 'node:sqlite';
import type { Transaction } from './database.ts';

/** The part of the index's schema that holds what is remembered of repositories. */
export const STANDING_SCHEMA = `
  CREATE TABLE standing (
    -- Counts up with each answer: an order that no clock can disturb.
    age INTEGER PRIMARY KEY,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    said TEXT NOT NULL CHECK (said IN ('public', 'denied', 'missing')),
    checked_at INTEGER NOT NULL,
    UNIQUE (registry, repository)
  ) STRICT;`;

export interface RepositoryName {
  readonly registry: string;
  readonly name: string;
}

/** What a registry said of a repository to somebody without credentials. */
export interface Standing {
  readonly said: 'public' | 'denied' | 'missing';
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
}

/** The statements on standings; all of them throw SQLite's errors. */
export type StandingIndex = ReturnType<typeof prepareStandings>;

export function prepareStandings(database: DatabaseSync, transaction: Transaction) {
  const sql = (text: string) => database.prepare(text);
  const find = sql('SELECT said, checked_at FROM standing WHERE registry = ? AND repository = ?');
  const put = sql(
    'INSERT OR REPLACE INTO standing VALUES ((SELECT ifnull(max(age), 0) + 1 FROM standing), ?, ?, ?, ?)',
  );
  const count = sql('SELECT count(*) AS count FROM standing');
  const dropOldest = sql('DELETE FROM standing WHERE age IN (SELECT age FROM standing ORDER BY age LIMIT ?)');

  return {
    find({ registry, name }: RepositoryName): Standing | undefined {
      const row = find.get(registry, name);
      return row && { said: row.said as Standing['said'], checkedAt: Number(row.checked_at) };
    },
    /** What was found out longest ago goes. @param bound records in all */
    put({ registry, name }: RepositoryName, { said, checkedAt }: Standing, bound: number): void {
      transaction(() => {
        put.run(registry, name, said, checkedAt);
        const excess = Number(count.get()!.count) - bound;
        if (excess > 0) dropOldest.run(excess);
      });
    },
  };
}
