import assert from 'node:assert/strict';
import { decode, encode } from 'cborg';
import { bytes, sha256 } from './independent-wire.ts';

/* "Chunks" and "The chunk map" of docs/protocol.md; see independent-peer.ts for what may be imported here. */

const MAP_FORMAT = 'layerlan/chunk-map/1';

/** Bytes, of a blob of up to 16 GiB. */
export const CHUNK_SIZE = 1024 * 1024;
export const MAX_CHUNKS = 16_384;

export function digestOf(blob: Uint8Array): `sha256:${string}` {
  return `sha256:${sha256(blob).toString('hex')}`;
}

/** For blobs of up to 16 GiB. */
export function chunksOf(blob: Uint8Array): Uint8Array[] {
  const count = Math.ceil(blob.length / CHUNK_SIZE);
  assert.ok(count <= MAX_CHUNKS);
  return Array.from({ length: count }, (_, i) => blob.subarray(i * CHUNK_SIZE, (i + 1) * CHUNK_SIZE));
}

/** Encoded. */
export function mapOf(digest: string, blob: Uint8Array): Uint8Array {
  return encode([MAP_FORMAT, digest, blob.length, CHUNK_SIZE, Buffer.concat(chunksOf(blob).map(sha256))]);
}

/** The hashes in an encoded map, which must be of this blob. */
export function hashesIn(encoded: Uint8Array, digest: string, size: number): Uint8Array[] {
  const [format, ofDigest, ofSize, chunkSize, hashes, ...more] = decode(encoded, { strict: true }) as unknown[];
  assert.deepEqual([format, ofDigest, ofSize, chunkSize, more], [MAP_FORMAT, digest, size, CHUNK_SIZE, []]);
  const all = bytes(hashes);
  assert.equal(all.length, 32 * Math.ceil(size / CHUNK_SIZE));
  assert.deepEqual(Buffer.from(encode([format, ofDigest, ofSize, chunkSize, all])), Buffer.from(encoded));
  return Array.from({ length: all.length / 32 }, (_, i) => all.subarray(32 * i, 32 * i + 32));
}
