import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { type BlobIndex, openIndex } from '../../../agent/store/blob-index.ts';
import { systemFiles } from '../../../agent/store/files.ts';
import { type DiskStore, openStore, type StoreComponents, type StoreInit } from '../../../agent/store/index.ts';
import { layoutAt } from '../../../agent/store/layout.ts';
import type { Digest } from '../../../protocol/digest.ts';

export const quiet = pino({ level: 'silent' });

/** A directory of a test's own, and the stores it opened there. */
export interface Place {
  readonly path: string;
  open(init?: Partial<StoreInit>, components?: Partial<StoreComponents>): Promise<DiskStore>;
  /** Closes what is open and removes the directory. */
  leave(): Promise<void>;
}

/** Where there is one, a file system in memory, for tests that open stores by the hundred: they test no disk. */
const IN_MEMORY = '/dev/shm';

export async function place(init: { readonly inMemory?: boolean } = {}): Promise<Place> {
  const parent = init.inMemory === true && existsSync(IN_MEMORY) ? IN_MEMORY : tmpdir();
  const path = await mkdtemp(join(parent, 'layerlan-store-'));
  const opened: DiskStore[] = [];
  return {
    path,
    async open(init = {}, components = {}) {
      const store = await openStore({ logger: quiet, ...components }, { path, ...init });
      opened.push(store);
      return store;
    },
    async leave() {
      for (const store of opened) await store.close();
      await rm(path, { recursive: true });
    },
  };
}

/** The index of a store that is closed, in a place of its own. */
export async function indexAlone(): Promise<{ readonly index: BlobIndex; close(): Promise<void> }> {
  const directory = await place();
  await (await directory.open()).close();
  const index = await openIndex(systemFiles, layoutAt(directory.path), quiet);
  return {
    index,
    close: async () => {
      await index.close();
      await directory.leave();
    },
  };
}

/**
 * Flips a bit of a held blob's file and puts its modification time back, as a failing disk's controller or a careless
 * tool might.
 */
export async function flip(path: string, digest: Digest, position: number): Promise<void> {
  const file = layoutAt(path).blob(digest);
  const before = await stat(file, { bigint: true });
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  byte[0]! ^= 1;
  await handle.write(byte, 0, 1, position);
  await handle.close();
  // The kernel's clock for files ticks every few milliseconds: a change within the tick of the commit has its time.
  do {
    await delay(2);
    await utimes(file, Number(before.atimeMs) / 1000, Number(before.mtimeMs) / 1000);
  } while ((await stat(file, { bigint: true })).ctimeNs === before.ctimeNs);
}
