import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAgentError } from '../../../agent/errors.ts';
import type { Partial } from '../../../agent/fetch/ports.ts';
import type { DiskStore } from '../../../agent/store/index.ts';
import { ALGORITHMS, layoutAt } from '../../../agent/store/layout.ts';
import { bring, collect, content, digestOfBytes, never } from './compliance.ts';
import { flip, place } from './support.ts';

const MIB = 1024 * 1024;

/** What a file system may add to a file that was written in pieces: a block of its map. Bytes. */
const MAP_BLOCK = 4096;

/** Bytes of the disk that the files of a directory take, and how many they are. */
async function onDisk(...directories: string[]): Promise<{ room: number; files: number }> {
  let room = 0;
  let files = 0;
  for (const directory of directories) {
    for (const name of await readdir(directory)) {
      const stats = await stat(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
        // What a put has made needless is removed behind it.
        if (error.code !== 'ENOENT') throw error;
      });
      if (stats === undefined) continue;
      room += stats.blocks * 512;
      files++;
    }
  }
  return { room, files };
}

/** With nothing open: blobs and partials are counted as they lie there. */
async function isRight(store: DiskStore, path: string): Promise<void> {
  const layout = layoutAt(path);
  const usage = store.usage();
  const blobs = await onDisk(...ALGORITHMS.map((algorithm) => layout.blobs(algorithm)));
  const near = (told: number, { room, files }: { room: number; files: number }, what: string) =>
    assert.ok(Math.abs(told - room) <= files * MAP_BLOCK, `${what}: told ${told}, on disk ${room}`);
  near(usage.blobs, blobs, 'blobs');
  near(usage.partials, await onDisk(layout.partials), 'partials');
  assert.equal(usage.leaving, 0);
}

const BLOBS = [2 * MIB + 777, 3 * MIB, 1, 0, MIB].map((size, at) => content(`account ${at}`, size));

const step = fc.record({
  act: fc.constantFrom('fetch', 'fetch', 'leave', 'leave', 'discard', 'put', 'remove', 'rot', 'read', 'restart'),
  which: fc.nat(BLOBS.length - 1),
  chunks: fc.nat(2),
});

test('the account is what lies on disk, whatever was done and across restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const at = await place();
      try {
        let store = await at.open();
        for (const { act, which, chunks } of steps) {
          const bytes = BLOBS[which]!;
          const digest = digestOfBytes(bytes);
          const isHeld = store.held(digest) !== undefined;
          const opened = (): Promise<Partial> => store.openPartial(digest, bytes.length, never);
          if (act === 'put') await store.put(digest, bytes, null);
          if (act === 'remove') await store.remove(digest);
          if (act === 'restart') {
            await store.close();
            store = await at.open();
          }
          if (act === 'read' && isHeld) await collect(store.read(digest, 0, bytes.length, never));
          if (act === 'rot' && isHeld && bytes.length > 0) {
            await flip(at.path, digest, 0);
            await assert.rejects(collect(store.read(digest, 0, bytes.length, never)), (error) =>
              isAgentError(error, 'BLOB_ROTTEN'),
            );
          }
          if (!isHeld && (act === 'fetch' || act === 'leave' || act === 'discard')) {
            const partial = await opened();
            const missing = Array.from({ length: partial.layout.count }, (_, index) => index).filter(
              (index) => partial.sourceOf(index) === undefined,
            );
            await bring(partial, bytes, act === 'fetch' ? missing : missing.slice(0, chunks));
            assert.ok(store.usage().partials >= (await onDisk(layoutAt(at.path).partials)).room);
            if (act === 'fetch') await partial.commit(null);
            else if (act === 'leave') await partial.close();
            else await partial.discard();
          }
        }
        await store.close();
        await isRight(store, at.path);
        store = await at.open();
        await isRight(store, at.path);
      } finally {
        await at.leave();
      }
    }),
    { numRuns: 25 },
  );
});

test('who reads what was removed is counted until it has ended', async () => {
  const at = await place();
  try {
    const store = await at.open();
    const bytes = content('lingering', 3 * MIB);
    const digest = digestOfBytes(bytes);
    await store.put(digest, bytes, null);
    const reading = store.read(digest, 0, bytes.length, never)[Symbol.asyncIterator]();
    await reading.next();
    await store.remove(digest);
    assert.deepEqual([store.usage().blobs, store.usage().leaving], [0, 3 * MIB]);
    await reading.return?.();
    assert.equal(store.usage().leaving, 0);
  } finally {
    await at.leave();
  }
});

test('what is left of a rotten blob, and of a partial that was let go, is counted as it lies there', async () => {
  const at = await place();
  try {
    const store = await at.open();
    const bytes = content('left', 4 * MIB);
    const digest = digestOfBytes(bytes);
    await store.put(digest, bytes, null);
    await flip(at.path, digest, 0);
    await assert.rejects(collect(store.read(digest, 0, bytes.length, never)));
    const { blobs, partials } = store.usage();
    assert.ok(blobs === 0 && partials >= 4 * MIB);
    await isRight(store, at.path);
    await (await store.openPartial(digest, bytes.length, never)).discard();
    assert.equal(store.usage().partials, 0);
  } finally {
    await at.leave();
  }
});

test('a blob that takes its place does not count twice for as long as the index is brought to the disk', async () => {
  const at = await place();
  try {
    const store = await at.open();
    const bytes = content('once', 4 * MIB);
    const partial = await store.openPartial(digestOfBytes(bytes), bytes.length, never);
    await bring(partial, bytes, [0, 1, 2, 3]);
    const counted = new Promise<number[]>((resolve) => {
      store.onHold(() => queueMicrotask(() => resolve([store.usage().blobs, store.usage().partials])));
    });
    await partial.commit(null);
    assert.deepEqual(await counted, [4 * MIB, 0]);
  } finally {
    await at.leave();
  }
});
