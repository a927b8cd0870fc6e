import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../../protocol/digest.ts';
import type { Transaction } from './database.ts';

/** The part of the index's schema that holds what is remembered of tags. */
export const TAG_SCHEMA = `
  CREATE TABLE tag (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    accept TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT,
    checked_at INTEGER NOT NULL,
    -- Counts up with each use: an order that no clock can disturb.
    used INTEGER NOT NULL,
    PRIMARY KEY (registry, repository, tag, accept)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tag_used ON tag (used);`;

/** A tag of a repository of a registry. */
export interface TagName {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** What is remembered of a tag for those who accept `accept`. */
export interface TagRecord {
  readonly accept: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  readonly etag: string | null;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
}

export interface TagBounds {
  /** Records in all. */
  readonly tags: number;
  /** Records of one tag. */
  readonly variants: number;
}

/** The statements on tags; all of them throw SQLite's errors. */
export type TagIndex = ReturnType<typeof prepareTags>;

export function prepareTags(database: DatabaseSync, transaction: Transaction) {
  const sql = (text: string) => database.prepare(text);
  const ofTag = 'registry = ? AND repository = ? AND tag = ?';
  const nextUse = '(SELECT ifnull(max(used), 0) + 1 FROM tag)';
  const find = sql(`SELECT * FROM tag WHERE ${ofTag} ORDER BY checked_at DESC`);
  const page = sql(
    `SELECT DISTINCT registry, repository, tag FROM tag WHERE (registry, repository, tag) > (?, ?, ?)
       ORDER BY registry, repository, tag LIMIT ?`,
  );
  // What was used last needs no writing: a tag that is pulled again and again costs reads alone.
  const use = sql(`UPDATE tag SET used = ${nextUse} WHERE ${ofTag} AND used < (SELECT max(used) FROM tag)`);
  const put = sql(`INSERT OR REPLACE INTO tag VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ${nextUse})`);
  const drop = sql(`DELETE FROM tag WHERE ${ofTag} AND accept = ?`);
  const dropVariants = sql(
    `DELETE FROM tag WHERE ${ofTag} AND accept IN
       (SELECT accept FROM tag WHERE ${ofTag} ORDER BY checked_at DESC LIMIT -1 OFFSET ?)`,
  );
  const count = sql('SELECT count(*) AS count FROM tag');
  const dropUnused = sql(
    `DELETE FROM tag WHERE (registry, repository, tag, accept) IN
       (SELECT registry, repository, tag, accept FROM tag ORDER BY used LIMIT ?)`,
  );
  const keyOf = ({ registry, repository, tag }: TagName) => [registry, repository, tag] as const;

  return {
    /** The one checked last first. */
    find(name: TagName): TagRecord[] {
      return find.all(...keyOf(name)).map((row) => ({
        accept: row.accept as string,
        digest: row.digest as Digest,
        mediaType: row.media_type as string,
        size: Number(row.size),
        etag: row.etag as string | null,
        checkedAt: Number(row.checked_at),
      }));
    },
    /** Tags by name, those after `after`. */
    page(after: TagName | undefined, limit: number): TagName[] {
      const rows = page.all(...(after === undefined ? ['', '', ''] : keyOf(after)), limit);
      return rows.map((row) => ({
        registry: row.registry as string,
        repository: row.repository as string,
        tag: row.tag as string,
      }));
    },
    use(name: TagName): void {
      use.run(...keyOf(name));
    },
    /** Of one tag the records checked longest ago go, of all tags those used longest ago. */
    put(name: TagName, record: TagRecord, bounds: TagBounds): void {
      const { accept, digest, mediaType, size, etag, checkedAt } = record;
      transaction(() => {
        put.run(...keyOf(name), accept, digest, mediaType, size, etag, checkedAt);
        dropVariants.run(...keyOf(name), ...keyOf(name), bounds.variants);
        const excess = Number(count.get()!.count) - bounds.tags;
        if (excess > 0) dropUnused.run(excess);
      });
    },
    drop(name: TagName, accept: string): void {
      drop.run(...keyOf(name), accept);
    },
  };
}
