import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Descriptor } from '../oci/manifest.ts';
import { BrokenIndexError, openDatabase, transactionsOf } from './database.ts';
import { BLOCK, type Candidate, roomOf } from './eviction.ts';
import type { Files, OpenFile } from './files.ts';
import { INSPECTION_SCHEMA, prepareInspection } from './inspection-index.ts';
import { type Layout, unwritable } from './layout.ts';
import { PIN_SCHEMA, preparePins } from './pin-index.ts';
import { type Stamp, stampColumns, stampInRow } from './stamp.ts';
import { prepareStandings, STANDING_SCHEMA } from './standing-index.ts';
import { prepareTags, TAG_SCHEMA } from './tag-index.ts';

/** Schema by version: PRAGMA user_version is the number of those that have run. */
const MIGRATIONS = [
  `CREATE TABLE blob (
     digest TEXT PRIMARY KEY,
     size INTEGER NOT NULL,
     media_type TEXT,
     root TEXT NOT NULL,
     inode INTEGER NOT NULL,
     file_size INTEGER NOT NULL,
     ctime_ns INTEGER NOT NULL,
     mtime_ns INTEGER NOT NULL,
     checked_at INTEGER NOT NULL,
     last_used INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX blob_last_used ON blob (last_used);
   -- Apart, so that a look-up never drags half a MiB of hashes through the page cache.
   CREATE TABLE chunk_map (digest TEXT PRIMARY KEY, map BLOB NOT NULL) STRICT;
   CREATE TABLE descriptor (age INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL) STRICT;`,
  TAG_SCHEMA,
  // Apart from blob: what is half fetched is private too, and a rotten blob's row goes while its good chunks stay.
  'CREATE TABLE private (digest TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;',
  // Null: private for several registries, or noted before it was noted for which.
  `ALTER TABLE private ADD COLUMN registry TEXT; ${STANDING_SCHEMA}`,
  PIN_SCHEMA,
  INSPECTION_SCHEMA,
];

/** SQLITE_ERROR (a table that is not there, or is though none should be), SQLITE_CORRUPT and SQLITE_NOTADB. */
const BROKEN = [1, 11, 26];

/** What is known of a blob before anything else of its row is read. Bytes. */
export type SizedDigest = Pick<BlobRecord, 'digest' | 'size'>;

/** A held blob, as the index has it. */
export interface BlobRecord {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly mediaType: string | null;
  /** SHA-256 of the encoded chunk map, hex. */
  readonly root: string;
  readonly stamp: Stamp;
  /** When all of it was last matched. Milliseconds since the epoch. */
  readonly checkedAt: number;
}

export type BlobIndex = ReturnType<typeof prepare>;

/**
 * Opens index.sqlite. One that SQLite calls broken is put aside and begun anew.
 * @throws AgentError STORE_UNWRITABLE
 */
export async function openIndex(files: Files, layout: Layout, logger: Logger): Promise<BlobIndex> {
  const path = layout.index;
  try {
    try {
      return await openPrepared(files, path);
    } catch (error) {
      if (!isBroken(error)) throw error;
      logger.warn({ err: error, path }, 'the index of the store is broken; it is put aside and begun anew');
      await files.rename(path, `${path}.broken`);
      for (const suffix of ['-wal', '-shm']) await files.rm(path + suffix);
      // Which of them were private went with it.
      for await (const name of files.readdir(layout.partials)) await files.rm(join(layout.partials, name));
      return await openPrepared(files, path);
    }
  } catch (error) {
    throw error instanceof AgentError ? error : unwritable(layout.root, error);
  }
}

function isBroken(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0;
  // The low byte: the rest says more of the same.
  return error instanceof BrokenIndexError || BROKEN.includes(code & 0xff);
}

async function openPrepared(files: Files, path: string): Promise<BlobIndex> {
  const database = openDatabase(path, (opened, version) => migrate(path, opened, version));
  let log: OpenFile | undefined;
  try {
    log = await files.open(`${path}-wal`, 'a+');
    return prepare(database, log);
  } catch (error) {
    await log?.close();
    database.close();
    throw error;
  }
}

function migrate(path: string, database: DatabaseSync, version: number): void {
  if (version > MIGRATIONS.length) {
    throw new AgentError('STORE_UNWRITABLE', `${path} was made by a newer version of layerlan`);
  }
  for (const [at, migration] of [...MIGRATIONS.entries()].slice(version)) {
    database.exec(`BEGIN; ${migration} PRAGMA user_version = ${at + 1}; COMMIT;`);
  }
}

function prepare(database: DatabaseSync, log: OpenFile) {
  const transaction = transactionsOf(database);
  const sql = (text: string) => database.prepare(text);
  const find = sql('SELECT * FROM blob WHERE digest = ?');
  find.setReadBigInts(true);
  const map = sql('SELECT map FROM chunk_map WHERE digest = ?');
  const put = sql('INSERT OR REPLACE INTO blob VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const putMap = sql('INSERT OR REPLACE INTO chunk_map VALUES (?, ?)');
  const renew = sql(
    'UPDATE blob SET inode = ?, file_size = ?, ctime_ns = ?, mtime_ns = ?, checked_at = ? WHERE digest = ?',
  );
  const setMediaType = sql('UPDATE blob SET media_type = ? WHERE digest = ?');
  const remove = sql('DELETE FROM blob WHERE digest = ?');
  const removeMap = sql('DELETE FROM chunk_map WHERE digest = ?');
  const findPrivate = sql('SELECT registry FROM private WHERE digest = ?');
  // Whoever is believed when it says that its own content is public must not be believed of another's.
  const keepPrivate = sql(
    `INSERT INTO private VALUES (?, ?) ON CONFLICT (digest)
       DO UPDATE SET registry = NULL WHERE registry IS NOT excluded.registry`,
  );
  const forgetPrivate = sql('DELETE FROM private WHERE digest = ?');
  const touch = sql('UPDATE blob SET last_used = ? WHERE digest = ?');
  const recent = sql(
    'SELECT digest, size FROM blob WHERE digest NOT IN (SELECT digest FROM private) ORDER BY last_used DESC LIMIT ?',
  );
  const room = sql(`SELECT total((size + ${BLOCK - 1}) / ${BLOCK}) * ${BLOCK} AS room FROM blob`);
  const byLastUse = sql('SELECT digest, size, last_used FROM blob ORDER BY last_used');
  const page = sql('SELECT digest, size FROM blob WHERE digest > ? ORDER BY digest LIMIT ?');
  const has = sql('SELECT 1 FROM blob WHERE digest = ?');
  const totals = sql('SELECT count(*) AS blobs, total(size) AS bytes, max(last_used) AS lastUsed FROM blob');
  const describe = sql(
    'INSERT OR REPLACE INTO descriptor (age, digest, size) VALUES ((SELECT ifnull(max(age), 0) + 1 FROM descriptor), ?, ?)',
  );
  const described = sql('SELECT size FROM descriptor WHERE digest = ?');
  const countDescribed = sql('SELECT count(*) AS count FROM descriptor');
  const forgetOldest = sql('DELETE FROM descriptor WHERE age IN (SELECT age FROM descriptor ORDER BY age LIMIT ?)');

  return {
    /** What is remembered of tags. */
    tags: prepareTags(database, transaction),
    /** What is remembered of repositories. */
    standings: prepareStandings(database, transaction),
    /** Which blobs must stay. */
    pins: preparePins(database, transaction),
    /** For who looks after the store. */
    inspection: prepareInspection(database),
    get(digest: Digest): BlobRecord | undefined {
      const row = find.get(digest);
      if (row === undefined) return undefined;
      return {
        digest,
        size: Number(row.size),
        mediaType: row.media_type as string | null,
        root: row.root as string,
        stamp: stampInRow(row),
        checkedAt: Number(row.checked_at),
      };
    },
    /** The encoded chunk map. */
    map(digest: Digest): Uint8Array | undefined {
      return map.get(digest)?.map as Uint8Array | undefined;
    },
    put(
      { digest, size, mediaType, root, stamp, checkedAt }: BlobRecord,
      encodedMap: Uint8Array,
      lastUsed: number,
    ): void {
      transaction(() => {
        put.run(digest, size, mediaType, root, ...stampColumns(stamp), checkedAt, lastUsed);
        putMap.run(digest, encodedMap);
      });
    },
    /** Notes that all of the blob matched, in a file that looks like `stamp`. */
    renew(digest: Digest, stamp: Stamp, checkedAt: number): void {
      renew.run(...stampColumns(stamp), checkedAt, digest);
    },
    setMediaType(digest: Digest, mediaType: string): void {
      setMediaType.run(mediaType, digest);
    },
    remove(digests: Iterable<Digest>): void {
      transaction(() => {
        for (const digest of digests) {
          remove.run(digest);
          removeMap.run(digest);
        }
      });
    },
    /** Whether the digest is not for peers. */
    isPrivate: (digest: Digest): boolean => findPrivate.get(digest) !== undefined,
    /** The one registry that it is private for. */
    privateOf: (digest: Digest): string | undefined =>
      (findPrivate.get(digest)?.registry as string | null | undefined) ?? undefined,
    keepPrivate(digest: Digest, registry: string): void {
      keepPrivate.run(digest, registry);
    },
    forgetPrivate(digest: Digest): void {
      forgetPrivate.run(digest);
    },
    touch(uses: Iterable<readonly [Digest, number]>): void {
      transaction(() => {
        for (const [digest, lastUsed] of uses) touch.run(lastUsed, digest);
      });
    },
    /** Of what is for peers. */
    recent: (limit: number): SizedDigest[] => recent.all(limit) as unknown as SizedDigest[],
    /** What all blobs take of the disk. Bytes. */
    room: (): number => Number(room.get()!.room),
    /** All blobs, the one used longest ago first. Nothing may be written while it is read; ending it early is fine. */
    *byLastUse(): Generator<Candidate> {
      for (const { digest, size, last_used } of byLastUse.iterate()) {
        yield { digest: digest as Digest, kind: 'blob', room: roomOf(Number(size)), lastUsed: Number(last_used) };
      }
    },
    /** The first `limit` behind `after`, in the order of their digests. */
    page: (after: string, limit: number): SizedDigest[] => page.all(after, limit) as unknown as SizedDigest[],
    has: (digest: Digest): boolean => has.get(digest) !== undefined,
    /** lastUsed: of the blob used last. */
    totals(): { blobs: number; bytes: number; lastUsed: number } {
      const row = totals.get()!;
      return { blobs: Number(row.blobs), bytes: Number(row.bytes), lastUsed: Number(row.lastUsed ?? 0) };
    },
    /** Remembers descriptors; the oldest beyond `bound` are forgotten. */
    describe(descriptors: readonly Descriptor[], bound: number): void {
      transaction(() => {
        for (const { digest, size } of descriptors) describe.run(digest, size);
        const excess = Number(countDescribed.get()!.count) - bound;
        if (excess > 0) forgetOldest.run(excess);
      });
    },
    described(digest: Digest): number | undefined {
      return described.get(digest)?.size as number | undefined;
    },
    /** Resolves when all that was put is on disk and outlasts a power cut. */
    sync: (): Promise<void> => log.datasync(),
    async close(): Promise<void> {
      await log.close();
      database.close();
    },
  };
}
