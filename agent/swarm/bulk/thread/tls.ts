import { readFileSync } from 'node:fs';
import type { ConnectionOptions, TlsOptions } from 'node:tls';

const AES = 'TLS_AES_128_GCM_SHA256';
const CHACHA = 'TLS_CHACHA20_POLY1305_SHA256';

/** Whether the processor has instructions for AES; where that cannot be known it is taken to, as nearly all have. */
export const HAS_AES = hasAes(readProcessor());

/**
 * TLS 1.3 alone, with a key both sides have been told and a Diffie-Hellman exchange beside it, so that whoever learns the
 * key later reads nothing. Both ciphers go with SHA-256, which is what a key told by callback is bound to (RFC 8446,
 * 4.2.11). X25519 alone: the hybrid that is OpenSSL's default costs milliseconds, and the key is secret in any case.
 */
export const TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: HAS_AES ? `${AES}:${CHACHA}` : `${CHACHA}:${AES}`,
  ecdhCurve: 'X25519',
} as const satisfies ConnectionOptions & TlsOptions;

/** @param processor what Linux says of it; undefined where nothing does */
export function hasAes(processor: string | undefined): boolean {
  return processor === undefined || /^(?:flags|Features)\s*:.*\baes\b/m.test(processor);
}

function readProcessor(): string | undefined {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return undefined;
  }
}
