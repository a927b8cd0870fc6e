import { mkdtempSync, rmSync } from 'node:fs';
import { type FileHandle, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Source } from '../../agent/store/also/source.ts';
import { type Stamp, stampOf } from '../../agent/store/stamp.ts';
import type { Digest } from '../../protocol/digest.ts';

/**
 * A twin of the sources whose listing and events are in memory: what happens is told at once, and nothing goes missing.
 * What is opened must have a descriptor, so the bytes lie in files that nobody looks for.
 */
export interface MemorySource extends Source {
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  remove(digest: Digest): Promise<void>;
  /** Flips a bit of a file, and tells nobody. */
  rot(digest: Digest, position: number): Promise<void>;
  /** All of it is gone at once, as a directory that is unmounted, or back again. */
  lose(): void;
  find(): void;
  /** Waits before each open. */
  beforeOpen: () => Promise<void>;
  readonly opened: Digest[];
  close(): void;
}

export function memorySource(root = '/memory'): MemorySource {
  const directory = mkdtempSync(join(tmpdir(), 'layerlan-source-'));
  const files = new Map<Digest, { readonly path: string; readonly stamp: Stamp }>();
  const listeners = new Set<(what: Digest | 'all') => void>();
  const opened: Digest[] = [];
  let isThere = true;
  let last = 0;
  const tell = (what: Digest | 'all') => {
    for (const listener of listeners) listener(what);
  };
  const missing = (what: string) => Object.assign(new Error(`ENOENT: ${what}`), { code: 'ENOENT' });
  const set = (now: boolean) => {
    isThere = now;
    tell('all');
  };
  const source: MemorySource = {
    root,
    opened,
    beforeOpen: async () => {},
    async *list(signal) {
      if (!isThere) throw missing(root);
      for (const [digest, { stamp }] of [...files]) {
        signal.throwIfAborted();
        yield { digest, stamp };
      }
    },
    look: async (digest) => (isThere ? files.get(digest)?.stamp : undefined),
    async open(digest): Promise<FileHandle> {
      await source.beforeOpen();
      const file = isThere ? files.get(digest) : undefined;
      if (file === undefined) throw missing(digest);
      opened.push(digest);
      return await open(file.path, 'r');
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async put(digest, bytes) {
      const path = join(directory, String(++last));
      await writeFile(path, bytes);
      files.set(digest, { path, stamp: stampOf(await stat(path, { bigint: true })) });
      tell(digest);
    },
    async remove(digest) {
      const file = files.get(digest);
      files.delete(digest);
      if (file !== undefined) await rm(file.path);
      tell(digest);
    },
    async rot(digest, position) {
      const file = await open(files.get(digest)!.path, 'r+');
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, position);
      byte[0]! ^= 1;
      await file.write(byte, 0, 1, position);
      await file.close();
    },
    lose: () => set(false),
    find: () => set(true),
    close: () => rmSync(directory, { recursive: true }),
  };
  return source;
}
