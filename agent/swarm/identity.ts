import { randomBytes } from 'node:crypto';
import { link, readFile } from 'node:fs/promises';
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { AgentError } from '../errors.ts';
import { writeDurably } from './durable.ts';

/** An Ed25519 key in libp2p's protobuf has 68 bytes; what is much longer was not written here. */
const MAX_IDENTITY_LENGTH = 1024;

/**
 * The agent's Ed25519 key from `path` (libp2p's protobuf, mode 0600), made at the first start.
 * @throws AgentError STORE_UNWRITABLE where the file cannot be read, written or understood
 */
export async function loadIdentity(path: string): Promise<PrivateKey> {
  return (await readIdentity(path)) ?? (await createIdentity(path));
}

async function readIdentity(path: string): Promise<PrivateKey | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new AgentError('STORE_UNWRITABLE', `cannot read the identity ${path}`, { cause: error });
  }
  try {
    if (bytes.length > MAX_IDENTITY_LENGTH) throw new Error('too long');
    const key = privateKeyFromProtobuf(bytes);
    if (key.type !== 'Ed25519') throw new Error('not an Ed25519 key');
    return key;
  } catch (error) {
    // Never replaced in silence: peers know this agent by it.
    throw new AgentError(
      'STORE_UNWRITABLE',
      `the identity ${path} is damaged; restore it, or remove it to start with a new one`,
      { cause: error },
    );
  }
}

async function createIdentity(path: string): Promise<PrivateKey> {
  const key = await generateKeyPair('Ed25519');
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    // link, unlike rename, never replaces a key that another start has just made.
    await writeDurably(privateKeyToProtobuf(key), { temporary, path, place: link });
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      const theirs = await readIdentity(path);
      if (theirs !== undefined) return theirs;
    }
    throw new AgentError('STORE_UNWRITABLE', `cannot write the identity ${path}`, { cause: error });
  }
}
