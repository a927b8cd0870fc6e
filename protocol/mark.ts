import { encode } from 'cborg';
import type { Digest } from './digest.ts';

/** Bytes of an Ed25519 signature. */
export const MARK_SIGNATURE_LENGTH = 64;

/** The first element of every statement: another shape gets another name. */
const FORMAT = 'layerlan/mark/1';

/**
 * "I took this chunk from upstream, and this is its SHA-256": while a blob is on its way there is no whole to match, so
 * who brought a chunk to the LAN signs for it, and who passes it on passes the signature on.
 */
export interface Mark {
  /** Peer id of who took it from upstream. */
  readonly signer: string;
  /** Ed25519, by the signer's identity key, of {@link markStatement}. */
  readonly signature: Uint8Array;
}

/** The bytes that are signed: a CBOR array `[format, digest, size, index, sha256]`, deterministic by RFC 8949 §4.2.1. */
export function markStatement(digest: Digest, size: number, index: number, sha256: Uint8Array): Uint8Array {
  return encode([FORMAT, digest, size, index, sha256]);
}
