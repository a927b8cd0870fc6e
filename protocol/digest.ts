/** Digest algorithms of the OCI image spec that agents exchange, with the length of their hex. */
export const HEX_LENGTH = { sha256: 64, sha512: 128 } as const;

export type Algorithm = keyof typeof HEX_LENGTH;

/** `algorithm:hex`, checked: the only form in which a digest travels through the code or makes a path. */
export type Digest = `${Algorithm}:${string}` & { readonly __digest: true };

// The whole string: a digest becomes a path in the store, so nothing may hide before or after it.
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** The digest in `text`, or undefined where it is not exactly one (OCI image spec, "Digests"). */
export function parseDigest(text: string): Digest | undefined {
  return isDigest(text) ? text : undefined;
}

export function isDigest(text: string): text is Digest {
  // `$` also matches before a final newline, hence the length.
  return DIGEST.test(text) && text.length === 7 + HEX_LENGTH[text.slice(0, 6) as Algorithm];
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.slice(0, 6) as Algorithm;
}

export function hexOf(digest: Digest): string {
  return digest.slice(7);
}

export function toDigest(algorithm: Algorithm, hash: Uint8Array): Digest {
  return `${algorithm}:${Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('hex')}` as Digest;
}
