import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { DiskStore, Partial } from '../../../agent/store/index.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import { algorithmOf, type Digest, hexOf } from '../../../protocol/digest.ts';
import { bring, chunkOf, collect, content, digestOfBytes, never } from './compliance.ts';

const LAYER = content('scripted layer', 1024 * 1024 + 17);
const MANIFEST = content('scripted manifest', 700);
const REMOVED = content('scripted and removed', 300);

export const [layer, manifest, removed] = [LAYER, MANIFEST, REMOVED].map((bytes) => digestOfBytes(bytes)) as [
  Digest,
  Digest,
  Digest,
];

/** What the script tells of as it goes. */
export interface Told {
  /** The store has said that it holds the blob. */
  committed(digest: Digest): void;
  /** The store is about to be told to remove the blob. */
  removing(digest: Digest): void;
}

const tellNobody: Told = { committed: () => {}, removing: () => {} };

/**
 * What a pull does to the store: a layer that is left half-way and taken up again, a manifest, one more that is removed,
 * and all of it read. Ends with the first failure.
 */
export async function pull(store: DiskStore, told: Told = tellNobody): Promise<void> {
  if (store.find(layer) === undefined) {
    await withPartial(store, layer, LAYER, async (partial) => {
      if (partial.sourceOf(0) === undefined) await bring(partial, LAYER, [0]);
    });
    await withPartial(store, layer, LAYER, async (partial) => {
      for (const index of [0, 1]) if (partial.sourceOf(index) === undefined) await bring(partial, LAYER, [index]);
      assert.ok(chunkOf(LAYER, 1).equals(await partial.read(1024 * 1024, 17)));
      await partial.commit(null);
      told.committed(layer);
    });
  }
  for (const [digest, bytes] of [
    [manifest, MANIFEST],
    [removed, REMOVED],
  ] as const) {
    await store.put(digest, bytes, 'a/manifest');
    told.committed(digest);
  }
  for (const [digest, bytes] of [
    [layer, LAYER],
    [manifest, MANIFEST],
  ] as const) {
    assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
  }
  told.removing(removed);
  await store.remove(removed);
  await withPartial(store, removed, REMOVED, async (partial) => {
    if (partial.sourceOf(0) === undefined) await bring(partial, REMOVED, [0]);
    await partial.discard();
  });
}

async function withPartial(
  store: DiskStore,
  digest: Digest,
  bytes: Buffer,
  work: (partial: Partial) => Promise<void>,
): Promise<void> {
  const partial = await store.openPartial(digest, bytes.length, never);
  try {
    await work(partial);
  } finally {
    await partial.close();
  }
}

/** What every row of the index of a store that nobody has open tells of, read past the agent: whether the file is what it must be. */
export function trueRows(path: string): Map<Digest, boolean> {
  const layout = layoutAt(path);
  if (!existsSync(layout.index)) return new Map();
  // A copy: to open the index is to repair it, which is the next agent's work.
  const copies = mkdtempSync(`${path}-read-`);
  for (const suffix of ['', '-wal'].filter((each) => existsSync(layout.index + each))) {
    copyFileSync(layout.index + suffix, join(copies, `index${suffix}`));
  }
  const database = new DatabaseSync(join(copies, 'index'));
  try {
    const hasTable = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'blob'").get() !== undefined;
    const rows = hasTable ? database.prepare('SELECT digest FROM blob').all() : [];
    return new Map(
      rows.map((row) => [row.digest as Digest, isWhole(layout.blob(row.digest as Digest), row.digest as Digest)]),
    );
  } finally {
    database.close();
    rmSync(copies, { recursive: true });
  }
}

function isWhole(path: string, digest: Digest): boolean {
  if (!existsSync(path)) return false;
  return createHash(algorithmOf(digest)).update(readFileSync(path)).digest('hex') === hexOf(digest);
}

/** @throws where a row tells of a file that is not there or not what it must be */
export function assertNothingFalse(path: string, when: string): Map<Digest, boolean> {
  const rows = trueRows(path);
  for (const [digest, isTrue] of rows) assert.ok(isTrue, `${digest} is held and false, ${when}`);
  return rows;
}
