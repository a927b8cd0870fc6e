import { createHash, hash } from 'node:crypto';
import { decode, encode } from 'cborg';
import { type ChunkLayout, isBlobSize, layoutOf, MAX_CHUNKS } from './chunks.ts';
import { type Digest, isDigest } from './digest.ts';

/** Bytes of one chunk's hash (SHA-256, whatever the blob's own algorithm). */
export const CHUNK_HASH_LENGTH = 32;

/** The first element of every encoded map: another shape gets another name. */
const FORMAT = 'layerlan/chunk-map/1';

/** An upper bound of an encoded map: the hashes and some room for the rest. Bytes. */
export const MAX_CHUNK_MAP_LENGTH = MAX_CHUNKS * CHUNK_HASH_LENGTH + 512;

/**
 * The SHA-256 of every chunk of a blob. OCI's digest covers only the whole blob, so a map that came from a peer
 * is that peer's claim; the whole digest is what makes the blob true.
 */
export interface ChunkMap {
  readonly digest: Digest;
  readonly layout: ChunkLayout;
  /** {@link CHUNK_HASH_LENGTH} bytes a chunk, one after the other. */
  readonly hashes: Uint8Array;
}

/**
 * A map of `hashes` for a blob.
 * @throws RangeError where the number of hashes does not fit the size
 */
export function chunkMap(digest: Digest, size: number, hashes: Uint8Array): ChunkMap {
  const layout = layoutOf(size);
  if (hashes.length !== layout.count * CHUNK_HASH_LENGTH) throw new RangeError('as many hashes as chunks are needed');
  return { digest, layout, hashes };
}

/** The hash of chunk `index`, a view into the map. */
export function chunkHash(map: ChunkMap, index: number): Uint8Array {
  return map.hashes.subarray(index * CHUNK_HASH_LENGTH, (index + 1) * CHUNK_HASH_LENGTH);
}

/** The one encoding of `map`: a CBOR array `[format, digest, size, chunkSize, hashes]`, deterministic by RFC 8949 §4.2.1. */
export function encodeChunkMap(map: ChunkMap): Uint8Array {
  return encode([FORMAT, map.digest, map.layout.size, map.layout.chunkSize, map.hashes]);
}

/**
 * The map in `bytes`, or undefined where they are not exactly one encoded map, byte for byte as
 * {@link encodeChunkMap} would write it: so that one map has one root.
 */
export function decodeChunkMap(bytes: Uint8Array): ChunkMap | undefined {
  if (bytes.length > MAX_CHUNK_MAP_LENGTH) return undefined;
  let fields: unknown;
  try {
    fields = decode(bytes, { strict: true, allowIndefinite: false, allowUndefined: false });
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields) || fields.length !== 5) return undefined;
  const [format, digest, size, chunkSize, hashes] = fields;
  if (format !== FORMAT || typeof digest !== 'string' || !isDigest(digest) || !isBlobSize(size)) return undefined;
  const layout = layoutOf(size);
  if (chunkSize !== layout.chunkSize || !(hashes instanceof Uint8Array)) return undefined;
  if (hashes.length !== layout.count * CHUNK_HASH_LENGTH) return undefined;
  const map = { digest, layout, hashes };
  return Buffer.compare(encodeChunkMap(map), bytes) === 0 ? map : undefined;
}

/** The SHA-256 of the map's encoding, in hex: two peers with the same root gave the same map. */
export function chunkMapRoot(map: ChunkMap): string {
  return createHash('sha256').update(encodeChunkMap(map)).digest('hex');
}

/** Whether `bytes` is chunk `index` as the map has it. */
export function chunkMatches(map: ChunkMap, index: number, bytes: Uint8Array): boolean {
  return Buffer.compare(hash('sha256', bytes, 'buffer'), chunkHash(map, index)) === 0;
}
