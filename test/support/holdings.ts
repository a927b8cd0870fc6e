import { createHash } from 'node:crypto';
import type { Holdings } from '../../agent/swarm/ports.ts';
import { CHUNK_HASH_LENGTH, chunkMap, chunkMapRoot, encodeChunkMap } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart, layoutOf } from '../../protocol/chunks.ts';
import { type Algorithm, type Digest, toDigest } from '../../protocol/digest.ts';

/** The in-memory twin of what the store gives to peers. */
export interface MemoryHoldings extends Holdings {
  hold(bytes: Uint8Array, algorithm?: Algorithm): Digest;
  drop(digest: Digest): void;
}

interface Blob {
  readonly bytes: Uint8Array;
  readonly map: Uint8Array;
  readonly root: string;
}

export function createMemoryHoldings(): MemoryHoldings {
  const blobs = new Map<Digest, Blob>();
  const holders = new Set<(digest: Digest) => void>();
  const droppers = new Set<(digest: Digest) => void>();
  return {
    hold(bytes, algorithm = 'sha256') {
      const digest = toDigest(algorithm, createHash(algorithm).update(bytes).digest());
      const map = mapOf(digest, bytes);
      blobs.set(digest, { bytes, map: encodeChunkMap(map), root: chunkMapRoot(map) });
      for (const listener of holders) listener(digest);
      return digest;
    },
    drop(digest) {
      blobs.delete(digest);
      for (const listener of droppers) listener(digest);
    },
    held(digest) {
      const blob = blobs.get(digest);
      return blob && { size: blob.bytes.length, root: blob.root };
    },
    chunkMapOf: (digest) => blobs.get(digest)?.map,
    async chunk(digest, index) {
      const bytes = blobs.get(digest)?.bytes;
      if (bytes === undefined) return undefined;
      const layout = layoutOf(bytes.length);
      if (index >= layout.count) return undefined;
      const start = chunkStart(layout, index);
      return bytes.subarray(start, start + chunkLength(layout, index));
    },
    recent: (limit) => [...blobs.keys()].reverse().slice(0, limit),
    onHold(listener) {
      holders.add(listener);
      return () => holders.delete(listener);
    },
    onDrop(listener) {
      droppers.add(listener);
      return () => droppers.delete(listener);
    },
  };
}

/** The true chunk map of `bytes`, under any digest. */
export function mapOf(digest: Digest, bytes: Uint8Array) {
  const layout = layoutOf(bytes.length);
  const hashes = new Uint8Array(layout.count * CHUNK_HASH_LENGTH);
  for (let index = 0; index < layout.count; index++) {
    const start = chunkStart(layout, index);
    const chunk = bytes.subarray(start, start + chunkLength(layout, index));
    hashes.set(createHash('sha256').update(chunk).digest(), index * CHUNK_HASH_LENGTH);
  }
  return chunkMap(digest, bytes.length, hashes);
}
