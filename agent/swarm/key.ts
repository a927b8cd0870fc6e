import { createHash, randomBytes } from 'node:crypto';
import { MDNS_SERVICE } from '../../protocol/names.ts';
import { AgentError } from '../errors.ts';

/** Bytes of a network key: as hard to guess as the keys it guards. */
export const NETWORK_KEY_LENGTH = 32;

/** Longest text taken for a key: whoever gives a wrong file gets an error, not a hash of an ISO image. Characters. */
const MAX_KEY_TEXT = 1024;

// One key gives two values that cannot be turned into each other.
const PROLOGUE_LABEL = 'layerlan/network-key/noise-prologue/1';
const MDNS_LABEL = 'layerlan/network-key/mdns-service/1';

/** A new network key as one line of hex with its newline: what `layerlan key FILE` writes. */
export function generateNetworkKey(): string {
  return `${randomBytes(NETWORK_KEY_LENGTH).toString('hex')}\n`;
}

/**
 * The key in a file's text: one line of hex, at least {@link NETWORK_KEY_LENGTH} bytes.
 * @throws AgentError NETWORK_KEY_INVALID; the message never holds the key
 */
export function parseNetworkKey(text: string): Uint8Array {
  const line = text.trim();
  if (line.length > MAX_KEY_TEXT || !/^(?:[0-9a-fA-F]{2})*$/.test(line)) {
    throw new AgentError('NETWORK_KEY_INVALID', 'the network key is not one line of hex digits, two a byte');
  }
  if (line.length < NETWORK_KEY_LENGTH * 2) {
    throw new AgentError(
      'NETWORK_KEY_INVALID',
      `the network key has ${line.length / 2} bytes; at least ${NETWORK_KEY_LENGTH} are needed`,
    );
  }
  return Buffer.from(line, 'hex');
}

/**
 * What both sides of a Noise handshake must have as prologue: peers whose key differs, or who have none, cannot
 * finish it. Without a key the prologue is empty.
 */
export function noisePrologue(key: Uint8Array | undefined): Uint8Array {
  return key === undefined ? new Uint8Array(0) : derive(PROLOGUE_LABEL, key);
}

/** The mDNS service to announce and look for: with a key, one that strangers neither ask for nor answer. */
export function mdnsService(key: Uint8Array | undefined): string {
  if (key === undefined) return MDNS_SERVICE;
  const tag = Buffer.from(derive(MDNS_LABEL, key)).toString('hex').slice(0, 16);
  return MDNS_SERVICE.replace('_layerlan.', `_layerlan-${tag}.`);
}

function derive(label: string, key: Uint8Array): Uint8Array {
  return createHash('sha256').update(`${label}\0`).update(key).digest();
}
