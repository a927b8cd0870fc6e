import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { AgentError } from '../errors.ts';

/** Bytes. */
const KEY_LENGTH = 32;

/** Whether somebody may decide what the agent holds under which name. */
export interface Owner {
  /** @param key as the caller gives it @throws AgentError NOT_OWNER */
  assert(key: string | undefined): void;
}

/**
 * Every user of the machine can connect to the mirror, but what is imported decides what others run under an image's
 * name. So that takes a key which root and the agent's own user can read: a file that is made anew at each start.
 */
export async function createOwner(path: string): Promise<Owner> {
  const key = randomBytes(KEY_LENGTH).toString('hex');
  const beside = `${path}.${randomUUID()}`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(key);
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  return {
    assert(given = '') {
      const isIt = given.length === key.length && timingSafeEqual(Buffer.from(given), Buffer.from(key));
      if (!isIt) throw new AgentError('NOT_OWNER', `only who can read ${path} may import`);
    },
  };
}
