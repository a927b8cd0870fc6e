import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { LRUCache } from 'lru-cache';
import { MARK_SIGNATURE_LENGTH } from '../../protocol/mark.ts';
import { KNOWN_PEERS } from './limits.ts';

/** Bytes of an Ed25519 seed; libp2p's raw private key is the seed and the public key. */
const SEED_LENGTH = 32;

/** Signs as this agent and checks the signatures of others. Both as in agent/fetch/ports.ts. */
export interface Signing {
  sign(statement: Uint8Array): Uint8Array;
  verify(signer: string, statement: Uint8Array, signature: Uint8Array): boolean;
}

/** By node:crypto, synchronously: a key is made once, and not for each signature. */
export function createSigning({ raw, publicKey }: PrivateKey): Signing {
  const ownKey = createPrivateKey({
    key: {
      kty: 'OKP',
      crv: 'Ed25519',
      d: Buffer.from(raw.subarray(0, SEED_LENGTH)).toString('base64url'),
      x: Buffer.from(publicKey.raw).toString('base64url'),
    },
    format: 'jwk',
  });
  const known = new LRUCache<string, KeyObject>({ max: KNOWN_PEERS });

  const keyOf = (signer: string): KeyObject | undefined => {
    const key = known.get(signer) ?? publicKeyIn(signer);
    if (key !== undefined) known.set(signer, key);
    return key;
  };

  return {
    sign: (statement) => sign(null, statement, ownKey),
    verify(signer, statement, signature) {
      if (signature.length !== MARK_SIGNATURE_LENGTH) return false;
      const key = keyOf(signer);
      return key !== undefined && verify(null, statement, key, signature);
    },
  };
}

/** The Ed25519 key that a peer id consists of; undefined where the text is no such id. */
function publicKeyIn(signer: string): KeyObject | undefined {
  try {
    const id = peerIdFromString(signer);
    // One key, one name: blame goes by the name. Base58 and CIDs in other bases spell the same id differently.
    if (id.type !== 'Ed25519' || id.toString() !== signer) return undefined;
    const x = Buffer.from(id.publicKey.raw).toString('base64url');
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  } catch {
    return undefined;
  }
}
