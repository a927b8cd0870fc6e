import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../../protocol/digest.ts';

/** The part of the index's schema by which it is looked through without reading all of it. */
export const INSPECTION_SCHEMA = `
  CREATE INDEX blob_checked_at ON blob (checked_at, digest);
  CREATE INDEX blob_manifest ON blob (digest) WHERE media_type IS NOT NULL;`;

/** A row of the index. */
export interface InspectedRow {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** null for what is no manifest. */
  readonly mediaType: string | null;
  /** Milliseconds since the epoch, both. */
  readonly lastUsed: number;
  readonly checkedAt: number;
}

/** A place in the order of last checks. */
export type CheckCursor = Pick<InspectedRow, 'checkedAt' | 'digest'>;

/** Comes before every digest. */
const FIRST = '';

/** The statements that look through the index a page at a time; all of them throw SQLite's errors. */
export function prepareInspection(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text);
  const columns = 'digest, size, media_type, last_used, checked_at';
  const one = sql(`SELECT ${columns} FROM blob WHERE digest = ?`);
  const page = sql(`SELECT ${columns} FROM blob WHERE digest > ? ORDER BY digest LIMIT ?`);
  const manifests = sql(
    `SELECT ${columns} FROM blob WHERE media_type IS NOT NULL AND digest > ? ORDER BY digest LIMIT ?`,
  );
  const checked = sql(
    `SELECT ${columns} FROM blob WHERE (checked_at, digest) > (?, ?) AND checked_at <= ?
       ORDER BY checked_at, digest LIMIT ?`,
  );

  return {
    get: (digest: Digest): InspectedRow | undefined => {
      const row = one.get(digest);
      return row && rowOf(row);
    },
    /** By digest, those after `after`. */
    page: (after: Digest | undefined, limit: number): InspectedRow[] => page.all(after ?? FIRST, limit).map(rowOf),
    /** The same of manifests alone. */
    manifests: (after: Digest | undefined, limit: number): InspectedRow[] =>
      manifests.all(after ?? FIRST, limit).map(rowOf),
    /** What was last checked at `until` or before, the longest ago first, after `after`. */
    checkedUntil: (until: number, after: CheckCursor | undefined, limit: number): InspectedRow[] =>
      checked
        .all(after?.checkedAt ?? Number.MIN_SAFE_INTEGER, after?.digest ?? FIRST, Math.trunc(until), limit)
        .map(rowOf),
  };
}

function rowOf(row: Record<string, unknown>): InspectedRow {
  return {
    digest: row.digest as Digest,
    size: Number(row.size),
    mediaType: row.media_type as string | null,
    lastUsed: Number(row.last_used),
    checkedAt: Number(row.checked_at),
  };
}
