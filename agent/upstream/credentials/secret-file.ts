import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { unusable } from './source.ts';

/** No password, and no file of credentials, is near this. Bytes. */
const MAX_SIZE = 1024 * 1024;

/**
 * The text of a file that holds a secret; undefined where there is no such file.
 * @param what the file's role, for the message
 * @throws AgentError CREDENTIALS_UNUSABLE
 */
export async function readSecretFile(path: string, what: string): Promise<string | undefined> {
  try {
    // Non-blocking: a pipe that nobody writes to must hold neither a pull nor a thread that reads files.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw unusable(`${what} ${path} is not a file`);
      if (stat.size > MAX_SIZE) throw unusable(`${what} ${path} is larger than ${MAX_SIZE} bytes`);
      const bytes = Buffer.alloc(stat.size);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      return bytes.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    if (code === 'CREDENTIALS_UNUSABLE') throw error;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unusable(`${what} ${path} cannot be read: ${code}`);
  }
}
