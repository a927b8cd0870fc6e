import { createHash, hash } from 'node:crypto';
import { linkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openStore } from '../../../agent/store/index.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { chunkMap, chunkMapRoot, encodeChunkMap } from '../../../protocol/chunk-map.ts';
import { type Digest, hexOf, toDigest } from '../../../protocol/digest.ts';
import { quiet } from './support.ts';

/** Most file systems let a file have at least so many names. */
const NAMES = 30_000;

/** Bytes of each of them. */
export const TINY = 5;

/** The digest of the tiny blob `number`: a name for it, of no content. */
export function tinyDigest(number: number): Digest {
  return toDigest('sha256', createHash('sha256').update(`tiny ${number}`).digest());
}

/**
 * A store of `count` tiny blobs, made past the agent: rows by SQL, files as names of a few. Used one after the other, the
 * last one last. `hasFile` says which of them have a file.
 */
export async function makeTinyBlobs(path: string, count: number, hasFile = (_number: number) => true): Promise<void> {
  await (await openStore({ logger: quiet }, { path })).close();
  const layout = layoutAt(path);
  const bytes = Buffer.alloc(TINY, 7);
  const database = new DatabaseSync(layout.index);
  const blob = database.prepare('INSERT INTO blob VALUES (?, ?, NULL, ?, 0, ?, 0, 0, 0, ?)');
  const map = database.prepare('INSERT INTO chunk_map VALUES (?, ?)');
  database.exec('BEGIN');
  let source = '';
  for (let number = 0; number < count; number++) {
    const digest = tinyDigest(number);
    const tiny = chunkMap(digest, TINY, hash('sha256', bytes, 'buffer'));
    blob.run(digest, TINY, chunkMapRoot(tiny), TINY, number + 1);
    map.run(digest, encodeChunkMap(tiny));
    if (number % NAMES === 0) {
      source = join(path, `tiny-${number}`);
      writeFileSync(source, bytes);
    }
    if (hasFile(number)) linkSync(source, join(layout.blobs('sha256'), hexOf(digest)));
  }
  database.exec('COMMIT');
  database.close();
}
