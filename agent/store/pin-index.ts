import type { DatabaseSync } from 'node:sqlite';
import type { Digest } from '../../protocol/digest.ts';
import type { Transaction } from './database.ts';

/** The part of the index's schema that holds which blobs must stay, and for the sake of which image. */
export const PIN_SCHEMA = `
  CREATE TABLE pin (image TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (image, digest)) STRICT, WITHOUT ROWID;
  CREATE INDEX pin_digest ON pin (digest);`;

/** An image that was pinned, and the blobs that stay for it. */
export interface Pin {
  readonly image: string;
  readonly digests: readonly Digest[];
}

/** The statements on pins; all of them throw SQLite's errors. */
export function preparePins(database: DatabaseSync, transaction: Transaction) {
  const sql = (text: string) => database.prepare(text);
  const put = sql('INSERT OR IGNORE INTO pin VALUES (?, ?)');
  const drop = sql('DELETE FROM pin WHERE image = ?');
  const all = sql('SELECT image, digest FROM pin ORDER BY image, digest');
  const has = sql('SELECT 1 FROM pin WHERE digest = ? LIMIT 1');

  return {
    /** From now on these blobs stay for `image`, and those that did before no longer. */
    pin(image: string, digests: Iterable<Digest>): void {
      transaction(() => {
        drop.run(image);
        for (const digest of digests) put.run(image, digest);
      });
    },
    /** @returns whether it was pinned */
    unpin: (image: string): boolean => Number(drop.run(image).changes) > 0,
    /** By image. */
    all(): Pin[] {
      const pins = new Map<string, Digest[]>();
      for (const { image, digest } of all.iterate()) {
        const digests = pins.get(image as string);
        if (digests === undefined) pins.set(image as string, [digest as Digest]);
        else digests.push(digest as Digest);
      }
      return [...pins].map(([image, digests]) => ({ image, digests }));
    },
    isPinned: (digest: Digest): boolean => has.get(digest) !== undefined,
  };
}
