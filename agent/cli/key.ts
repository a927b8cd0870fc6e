import { writeFile } from 'node:fs/promises';
import { AgentError } from '../errors.ts';
import { generateNetworkKey } from '../swarm/key.ts';
import type { Terminal } from './terminal.ts';

/** Only its owner may read a key. */
const KEY_MODE = 0o600;

/**
 * `layerlan key FILE`: makes a network key.
 * @throws AgentError KEY_UNWRITABLE; a file that exists is never overwritten, since a fleet may depend on it
 */
export async function key(file: string, terminal: Terminal): Promise<void> {
  try {
    await writeFile(file, generateNetworkKey(), { flag: 'wx', mode: KEY_MODE, flush: true });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const why = { EEXIST: 'it exists already', ENOENT: 'there is no such directory', EACCES: 'permission denied' }[
      code
    ];
    throw new AgentError('KEY_UNWRITABLE', `no key was written to ${file}: ${why ?? code}`, { cause: error });
  }
  await terminal.out(`${file} holds a new network key. Give every agent of the fleet a copy (peers.networkKeyFile).\n`);
}
