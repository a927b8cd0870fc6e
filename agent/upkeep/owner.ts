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
 * Never throws: with a disk that takes nothing the agent goes on, and nobody can import.
 */
export async function createOwner(path: string): Promise<Owner> {
  const key = randomBytes(KEY_LENGTH).toString('hex');
  const why = await write(path, key);
  return {
    assert(given = '') {
      if (why !== undefined) throw new AgentError('NOT_OWNER', `${path} could not be written at the start: ${why}`);
      const isIt =
        given.length === key.length && timingSafeEqual(Buffer.from(given, 'latin1'), Buffer.from(key, 'latin1'));
      if (!isIt) throw new AgentError('NOT_OWNER', `only who can read ${path} may import`);
    },
  };
}

/** @returns why it cannot be written; undefined where it is */
async function write(path: string, key: string): Promise<string | undefined> {
  const beside = `${path}.${randomUUID()}`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(key);
    } finally {
      await file.close();
    }
    await rename(beside, path);
    return undefined;
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}
