import { createCipheriv, createHash } from 'node:crypto';
import { type Algorithm, type Digest, toDigest } from '../../protocol/digest.ts';

/** Longest piece that {@link Content.read} yields. Bytes. */
const PIECE = 256 * 1024;
const ZEROS = Buffer.alloc(PIECE);
const AES_BLOCK = 16;

/** Bytes that may be read from anywhere any number of times. */
export interface Content {
  readonly size: number;
  /** The bytes from `start` to before `end`, in pieces that are the reader's own. */
  read(start: number, end: number): Iterable<Buffer>;
}

/**
 * Pseudo-random bytes that follow from `seed` alone, made while they are read: a GiB of it costs no memory. The
 * keystream of AES-128-CTR, since that can start anywhere and keeps up with a test's network.
 */
export function generatedContent(seed: string, size: number): Content {
  const key = createHash('sha256').update(seed).digest().subarray(0, AES_BLOCK);
  return {
    size,
    *read(start, end) {
      const counter = Buffer.alloc(AES_BLOCK);
      counter.writeBigUInt64BE(BigInt(Math.floor(start / AES_BLOCK)), AES_BLOCK - 8);
      const cipher = createCipheriv('aes-128-ctr', key, counter);
      cipher.update(ZEROS.subarray(0, start % AES_BLOCK));
      for (let at = start; at < end; at += PIECE) yield cipher.update(ZEROS.subarray(0, Math.min(PIECE, end - at)));
    },
  };
}

/** `bytes`, shared: they must not change afterwards. */
export function bufferContent(bytes: Uint8Array): Content {
  return {
    size: bytes.length,
    *read(start, end) {
      for (let at = start; at < end; at += PIECE) yield Buffer.from(bytes.subarray(at, Math.min(at + PIECE, end)));
    },
  };
}

/** The digest of all of it. */
export function digestOf(content: Content, algorithm: Algorithm = 'sha256'): Digest {
  const hash = createHash(algorithm);
  for (const piece of content.read(0, content.size)) hash.update(piece);
  return toDigest(algorithm, hash.digest());
}

/** All of it in one buffer. */
export function bytesOf(content: Content): Buffer {
  return Buffer.concat([...content.read(0, content.size)]);
}
