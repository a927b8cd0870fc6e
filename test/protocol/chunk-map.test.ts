import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { encode } from 'cborg';
import fc from 'fast-check';
import {
  CHUNK_HASH_LENGTH,
  chunkHash,
  chunkMap,
  chunkMapRoot,
  chunkMatches,
  decodeChunkMap,
  encodeChunkMap,
} from '../../protocol/chunk-map.ts';
import { layoutOf, MIN_CHUNK_SIZE } from '../../protocol/chunks.ts';
import { toDigest } from '../../protocol/digest.ts';

const digest = toDigest('sha256', Buffer.alloc(32, 1));

const anyMap = fc.integer({ min: 0, max: 40 * MIN_CHUNK_SIZE }).chain((size) =>
  fc
    .uint8Array({
      minLength: layoutOf(size).count * CHUNK_HASH_LENGTH,
      maxLength: layoutOf(size).count * CHUNK_HASH_LENGTH,
    })
    .map((hashes) => chunkMap(digest, size, hashes)),
);

test('a map comes back from its encoding, with the same root', () => {
  fc.assert(
    fc.property(anyMap, (map) => {
      const decoded = decodeChunkMap(encodeChunkMap(map));
      assert.ok(decoded !== undefined);
      assert.deepEqual({ ...decoded, hashes: [...decoded.hashes] }, { ...map, hashes: [...map.hashes] });
      assert.equal(chunkMapRoot(decoded), chunkMapRoot(map));
    }),
  );
});

test('a known map has a known encoding and root: another implementation must give the same', () => {
  const map = chunkMap(digest, 5, new Uint8Array(32).fill(2));
  const text = Buffer.from(encodeChunkMap(map)).toString('hex');
  assert.equal(
    text,
    `8574${Buffer.from('layerlan/chunk-map/1').toString('hex')}7847${Buffer.from(digest).toString('hex')}051a001000005820${'02'.repeat(32)}`,
  );
  assert.equal(chunkMapRoot(map), hash('sha256', Buffer.from(text, 'hex')));
});

test('any change, truncation or addition is no map or another map', () => {
  const bytes = Buffer.from(encodeChunkMap(chunkMap(digest, 3 * MIN_CHUNK_SIZE, Buffer.alloc(96, 3))));
  const root = hash('sha256', bytes);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
    const map = decodeChunkMap(flipped);
    if (map !== undefined) assert.notEqual(chunkMapRoot(map), root);
    assert.equal(decodeChunkMap(bytes.subarray(0, at)), undefined);
  }
  assert.equal(decodeChunkMap(Buffer.concat([bytes, Buffer.of(0)])), undefined);
});

test('a wrong chunk size, count, format or spelling is refused', () => {
  const hashes = new Uint8Array(32);
  const format = 'layerlan/chunk-map/1';
  const wrong = [
    ['layerlan/chunk-map/2', digest, 5, MIN_CHUNK_SIZE, hashes],
    [format, 'sha256:00', 5, MIN_CHUNK_SIZE, hashes],
    [format, digest, 5, 2 * MIN_CHUNK_SIZE, hashes],
    [format, digest, 2 * MIN_CHUNK_SIZE, MIN_CHUNK_SIZE, hashes],
    [format, digest, -5, MIN_CHUNK_SIZE, hashes],
    [format, digest, 5, MIN_CHUNK_SIZE],
    [format, digest, 5, MIN_CHUNK_SIZE, [...hashes]],
    { format, digest },
  ];
  for (const fields of wrong) assert.equal(decodeChunkMap(encode(fields)), undefined, JSON.stringify(fields));
});

test('random bytes never throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void decodeChunkMap(bytes)));
});

test('a chunk matches its own hash and no other', () => {
  const chunks = [Buffer.alloc(MIN_CHUNK_SIZE, 1), Buffer.alloc(9, 2)] as const;
  const hashes = Buffer.concat(chunks.map((chunk) => hash('sha256', chunk, 'buffer')));
  const map = chunkMap(digest, MIN_CHUNK_SIZE + 9, hashes);
  assert.equal(chunkHash(map, 1).length, CHUNK_HASH_LENGTH);
  assert.equal(chunkMatches(map, 0, chunks[0]), true);
  assert.equal(chunkMatches(map, 1, chunks[0]), false);
});

test('a map needs as many hashes as chunks', () => {
  assert.throws(() => chunkMap(digest, 5, new Uint8Array(64)), RangeError);
});
