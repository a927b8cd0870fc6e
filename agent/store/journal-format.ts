import { crc32 } from 'node:zlib';
import { CHUNK_HASH_LENGTH } from '../../protocol/chunk-map.ts';
import type { ChunkLayout } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, HEX_LENGTH, hexOf } from '../../protocol/digest.ts';
import type { Source } from './types.ts';

/** Another format gets another number. */
const MAGIC = Buffer.from('LLJOURN1', 'latin1');
const ALGORITHM_CODES = { sha256: 1, sha512: 2 } as const;
const SOURCES = [undefined, 'upstream', 'peer'] as const;

// Header: magic, algorithm (1 byte, 7 zero), the digest's hash (64 bytes, zero behind a shorter one), size (8),
// CRC-32 of all before (4). Numbers are big-endian.
const HASH_AT = 16;
const SIZE_AT = HASH_AT + HEX_LENGTH.sha512 / 2;
const HEADER_SUM_AT = SIZE_AT + 8;
export const HEADER_LENGTH = HEADER_SUM_AT + 4;

// Record: chunk index (4 bytes), source (1; 0: no longer marked; 3 zero), SHA-256 (32), CRC-32 of all before (4).
const SOURCE_AT = 4;
const SHA_AT = 8;
const RECORD_SUM_AT = SHA_AT + CHUNK_HASH_LENGTH;
export const RECORD_LENGTH = RECORD_SUM_AT + 4;

/** A chunk that was written whole. */
export interface Mark {
  readonly index: number;
  readonly source: Source;
  readonly sha256: Uint8Array;
}

/** What a journal tells: a mark, or that a chunk is no longer marked. */
export type JournalRecord = Mark | { readonly index: number; readonly source: undefined };

export function encodeHeader(digest: Digest, size: number): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH);
  MAGIC.copy(header);
  header.writeUInt8(ALGORITHM_CODES[algorithmOf(digest)], MAGIC.length);
  header.write(hexOf(digest), HASH_AT, 'hex');
  header.writeBigUInt64BE(BigInt(size), SIZE_AT);
  header.writeUInt32BE(crc32(header.subarray(0, HEADER_SUM_AT)), HEADER_SUM_AT);
  return header;
}

export function encodeRecord(record: JournalRecord): Buffer {
  const bytes = Buffer.alloc(RECORD_LENGTH);
  bytes.writeUInt32BE(record.index, 0);
  bytes.writeUInt8(SOURCES.indexOf(record.source), SOURCE_AT);
  if (record.source !== undefined) bytes.set(record.sha256, SHA_AT);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, RECORD_SUM_AT)), RECORD_SUM_AT);
  return bytes;
}

/**
 * The marks a journal leaves, by index. Records whose sum is wrong are passed over, wherever they are: a torn tail,
 * or a hole that a power cut left. A journal of another blob, size or format has none.
 */
export function readJournal(bytes: Buffer, digest: Digest, layout: ChunkLayout): Mark[] {
  if (!bytes.subarray(0, HEADER_LENGTH).equals(encodeHeader(digest, layout.size))) return [];
  const marks = new Map<number, Mark>();
  for (let at = HEADER_LENGTH; at + RECORD_LENGTH <= bytes.length; at += RECORD_LENGTH) {
    const record = bytes.subarray(at, at + RECORD_LENGTH);
    if (crc32(record.subarray(0, RECORD_SUM_AT)) !== record.readUInt32BE(RECORD_SUM_AT)) continue;
    const index = record.readUInt32BE(0);
    const source = SOURCES[record.readUInt8(SOURCE_AT)];
    if (index >= layout.count) continue;
    if (source === undefined) marks.delete(index);
    else marks.set(index, { index, source, sha256: Uint8Array.from(record.subarray(SHA_AT, RECORD_SUM_AT)) });
  }
  return [...marks.values()].sort((a, b) => a.index - b.index);
}
