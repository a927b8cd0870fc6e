import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { algorithmOf, type Digest, toDigest } from '../../../protocol/digest.ts';
import { AgentError } from '../../errors.ts';
import {
  blobPath,
  checkLayout,
  INDEX_FILE,
  LAYOUT_FILE,
  LAYOUT_TEXT,
  type ListedImage,
  parseIndex,
  withImage,
} from '../../oci/image-layout.ts';
import type { Descriptor } from '../../oci/manifest.ts';
import { readSmall } from './small.ts';
import { isTemporary, removeLeft, temporaryPath } from './temporary.ts';

/** How often a blob that broke off is taken up again. */
const ATTEMPTS = 5;

/** A layout that images are added to. */
export interface LayoutWriter {
  /**
   * Writes a blob, unless it is there and right.
   * @param from gives the blob from a byte on @returns whether it was there
   * @throws AgentError LAYOUT_INVALID; UPSTREAM_MISMATCH where `from` gives something else
   */
  add(blob: Descriptor, from: (start: number) => AsyncIterable<Uint8Array>): Promise<boolean>;
  /** Lists an image whose blobs are all there: from here on others see it. @throws AgentError LAYOUT_INVALID */
  list(image: ListedImage): Promise<void>;
}

/**
 * Opens a directory for writing: a new one, an empty one, or a layout. Each file is written beside, fsynced and renamed,
 * and the index, which makes a layout of the rest, is the last: what breaks off leaves the layout as it was, or, of a new
 * one, a directory without an index.
 * @throws AgentError LAYOUT_INVALID
 */
export async function openLayout(directory: string): Promise<LayoutWriter> {
  return wrapped(directory, async () => {
    await mkdir(directory).catch(unlessThere);
    const names = await readdir(directory);
    if (names.includes(LAYOUT_FILE)) {
      checkLayout((await readSmall(directory, LAYOUT_FILE)) ?? '');
    } else if (names.every(isTemporary)) {
      await writeWhole(directory, LAYOUT_FILE, LAYOUT_TEXT);
    } else {
      throw new AgentError('LAYOUT_INVALID', `${directory} is neither empty nor an OCI image layout`);
    }
    const index = await readSmall(directory, INDEX_FILE);
    if (index !== undefined) parseIndex(index);
    await removeLeft(directory, names);
    await mkdir(join(directory, 'blobs')).catch(unlessThere);
    return {
      add: (blob, from) => wrapped(directory, () => add(directory, blob, from)),
      list: (image) => wrapped(directory, () => list(directory, image)),
    };
  });
}

async function add(
  directory: string,
  { digest, size }: Descriptor,
  from: (start: number) => AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const path = join(directory, blobPath(digest));
  await mkdir(dirname(path)).catch(unlessThere);
  if (await isThere(path, digest, size)) return true;
  const temporary = temporaryPath(directory);
  const file = await open(temporary, 'wx');
  try {
    const hash = createHash(algorithmOf(digest));
    let position = 0;
    for (let attempt = 1; position < size || attempt === 1; attempt++) {
      try {
        for await (const bytes of from(position)) {
          hash.update(bytes);
          await file.writeFile(bytes);
          position += bytes.length;
        }
      } catch (error) {
        const isDisk = (error as NodeJS.ErrnoException).syscall === 'write';
        if (isDisk || position === 0 || attempt === ATTEMPTS) throw error;
      }
      if (attempt === ATTEMPTS) break;
    }
    const found = toDigest(algorithmOf(digest), hash.digest());
    if (found !== digest) throw new AgentError('UPSTREAM_MISMATCH', `${digest} came as ${position} bytes of ${found}`);
    await file.sync();
    await file.close();
    await rename(temporary, path);
    return false;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

async function list(directory: string, image: ListedImage): Promise<void> {
  const blobs = join(directory, 'blobs');
  for (const algorithm of await readdir(blobs)) await syncDirectory(join(blobs, algorithm));
  await syncDirectory(blobs);
  // As it is now: another image may have been added meanwhile.
  const text = await readSmall(directory, INDEX_FILE);
  await writeWhole(directory, INDEX_FILE, withImage(text === undefined ? undefined : parseIndex(text), image));
}

async function writeWhole(directory: string, name: string, text: string): Promise<void> {
  const temporary = temporaryPath(directory);
  const file = await open(temporary, 'wx');
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(directory, name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function isThere(path: string, digest: Digest, size: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true || found.size !== size) return false;
  const hash = createHash(algorithmOf(digest));
  for await (const bytes of createReadStream(path)) hash.update(bytes);
  return toDigest(algorithmOf(digest), hash.digest()) === digest;
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** A disk's refusal as an error that names the directory. */
async function wrapped<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (error instanceof AgentError || code === undefined || syscall === undefined) throw error;
    throw new AgentError('LAYOUT_INVALID', `${directory} cannot be written: ${code} (${syscall})`, { cause: error });
  }
}
