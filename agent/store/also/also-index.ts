import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../../../protocol/digest.ts';
import { openDatabase, transactionsOf } from '../database.ts';
import { type Stamp, stampColumns, stampInRow } from '../stamp.ts';

/** PRAGMA user_version of the schema below. A file of another is begun anew: all that it costs is hashing once more. */
const VERSION = 1;

const SCHEMA = `
  CREATE TABLE file (
    root TEXT NOT NULL,
    digest TEXT NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    checked_at INTEGER NOT NULL,
    map_root TEXT NOT NULL,
    PRIMARY KEY (root, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX file_digest ON file (digest);
  CREATE TABLE chunk_map (digest TEXT PRIMARY KEY, map BLOB NOT NULL) STRICT;
  CREATE TABLE public (age INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE) STRICT;
  PRAGMA user_version = ${VERSION};`;

/** A file that was hashed and found to be what its name says. */
export interface KnownFile {
  readonly stamp: Stamp;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
  /** SHA-256 of the encoded chunk map, hex. */
  readonly mapRoot: string;
}

/** What was found out of others' files, over restarts. All of it throws SQLite's errors. */
export type AlsoIndex = ReturnType<typeof prepare>;

/**
 * Opens the index. It stands apart from the store's own: an agent without `store.also` never has it, and one that is
 * broken is just removed.
 */
export function openAlsoIndex(path: string): AlsoIndex {
  try {
    return prepare(openDatabase(path, migrate));
  } catch {
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
    return prepare(openDatabase(path, migrate));
  }
}

function migrate(database: DatabaseSync, version: number): void {
  if (version === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT;`);
  else if (version !== VERSION) throw new Error(`version ${version} of the index is not known`);
}

function prepare(database: DatabaseSync) {
  const transaction = transactionsOf(database);
  const sql = (text: string) => database.prepare(text);
  const find = sql('SELECT *, size AS file_size FROM file WHERE root = ? AND digest = ?');
  find.setReadBigInts(true);
  const put = sql('INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const digests = sql('SELECT digest FROM file WHERE root = ?');
  const roots = sql('SELECT DISTINCT root FROM file');
  const remove = sql('DELETE FROM file WHERE root = ? AND digest = ?');
  const removeRoot = sql('DELETE FROM file WHERE root = ?');
  const map = sql('SELECT map FROM chunk_map WHERE digest = ?');
  const putMap = sql('INSERT OR REPLACE INTO chunk_map VALUES (?, ?)');
  const removeMap = sql('DELETE FROM chunk_map WHERE digest = ? AND digest NOT IN (SELECT digest FROM file)');
  const removeMaps = sql('DELETE FROM chunk_map WHERE digest NOT IN (SELECT digest FROM file)');
  const isPublic = sql('SELECT 1 FROM public WHERE digest = ?');
  const notePublic = sql(
    'INSERT OR IGNORE INTO public (age, digest) VALUES ((SELECT ifnull(max(age), 0) + 1 FROM public), ?)',
  );
  const countPublic = sql('SELECT count(*) AS count FROM public');
  const oldestPublic = sql('SELECT digest FROM public ORDER BY age LIMIT ?');
  const forgetPublic = sql('DELETE FROM public WHERE digest = ?');

  return {
    get(root: string, digest: Digest): KnownFile | undefined {
      const row = find.get(root, digest);
      if (row === undefined) return undefined;
      return {
        stamp: stampInRow(row),
        checkedAt: Number(row.checked_at),
        mapRoot: row.map_root as string,
      };
    },
    /** @param encodedMap undefined: it is there already */
    put(root: string, digest: Digest, file: KnownFile, encodedMap: Uint8Array | undefined): void {
      transaction(() => {
        put.run(root, digest, ...stampColumns(file.stamp), file.checkedAt, file.mapRoot);
        if (encodedMap !== undefined) putMap.run(digest, encodedMap);
      });
    },
    digests: (root: string): Digest[] => digests.all(root).map((row) => row.digest as Digest),
    remove(root: string, gone: Iterable<Digest>): void {
      transaction(() => {
        for (const digest of gone) {
          remove.run(root, digest);
          removeMap.run(digest);
        }
      });
    },
    /** Forgets what is of no root in `kept`. */
    keepRoots(kept: ReadonlySet<string>): void {
      transaction(() => {
        for (const { root } of roots.all()) if (!kept.has(root as string)) removeRoot.run(root as string);
        removeMaps.run();
      });
    },
    /** The encoded chunk map. */
    map: (digest: Digest): Uint8Array | undefined => map.get(digest)?.map as Uint8Array | undefined,
    isPublic: (digest: Digest): boolean => isPublic.get(digest) !== undefined,
    notePublic(digest: Digest): void {
      notePublic.run(digest);
    },
    /** Those that were noted first, as many as there are beyond `bound`. */
    publicBeyond(bound: number): Digest[] {
      const excess = Number(countPublic.get()!.count) - bound;
      return excess > 0 ? oldestPublic.all(excess).map((row) => row.digest as Digest) : [];
    },
    forgetPublic(digest: Digest): void {
      forgetPublic.run(digest);
    },
    close: (): void => database.close(),
  };
}
