import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmOf, type Digest, toDigest } from '../../../protocol/digest.ts';
import { AgentError } from '../../errors.ts';
import {
  blobPath,
  checkLayout,
  entriesOf,
  INDEX_FILE,
  LAYOUT_FILE,
  type LayoutEntry,
  parseIndex,
} from '../../oci/image-layout.ts';
import { openToRead, readSmall, unreadable } from './small.ts';

/** What is read of a blob at once. Bytes. */
const PIECE = 256 * 1024;

/** What a layout's index lists. @throws AgentError LAYOUT_INVALID */
export async function readLayout(directory: string): Promise<LayoutEntry[]> {
  checkLayout(await needed(directory, LAYOUT_FILE));
  return entriesOf(parseIndex(await needed(directory, INDEX_FILE)));
}

/**
 * A manifest of a layout, whole and verified.
 * @returns undefined where it is not there
 * @throws AgentError IMPORT_REFUSED where it is not what its digest says
 */
export async function readManifest(directory: string, digest: Digest, most: number): Promise<Buffer | undefined> {
  const blob = await openBlob(directory, digest);
  if (blob === undefined) return undefined;
  try {
    if (blob.size > most) throw refused(digest, `${blob.size} bytes are too many for a manifest`);
    const pieces: Uint8Array[] = [];
    for await (const piece of blob.bytes()) pieces.push(Uint8Array.from(piece));
    const bytes = Buffer.concat(pieces);
    const found = toDigest(algorithmOf(digest), createHash(algorithmOf(digest)).update(bytes).digest());
    if (found !== digest) throw refused(digest, 'its bytes are others');
    return bytes;
  } finally {
    await blob.close();
  }
}

/** A blob's file. */
export interface LayoutBlob {
  /** Bytes. */
  readonly size: number;
  /** A piece is the caller's until it asks for the next one. */
  bytes(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** @returns undefined where it is not there @throws AgentError LAYOUT_INVALID */
export async function openBlob(directory: string, digest: Digest): Promise<LayoutBlob | undefined> {
  const path = join(directory, blobPath(digest));
  let file: FileHandle;
  try {
    file = await openToRead(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new AgentError('LAYOUT_INVALID', `${path} is no file`);
    return { size: stat.size, bytes: () => read(file, path), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

export function refused(digest: Digest, why: string): AgentError {
  return new AgentError('IMPORT_REFUSED', `${digest} is refused: ${why}`);
}

async function* read(file: FileHandle, path: string): AsyncGenerator<Uint8Array, void> {
  const buffer = Buffer.allocUnsafeSlow(PIECE);
  for (let position = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, PIECE, position).catch((error) => {
      throw unreadable(path, error);
    });
    if (bytesRead === 0) return;
    position += bytesRead;
    // A copy: HTTP keeps a piece until the socket has taken it.
    yield Uint8Array.prototype.slice.call(buffer, 0, bytesRead);
  }
}

async function needed(directory: string, name: string): Promise<string> {
  const text = await readSmall(directory, name);
  if (text !== undefined) return text;
  throw new AgentError('LAYOUT_INVALID', `${directory} is no OCI image layout: it has no ${name}`);
}
