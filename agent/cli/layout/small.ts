import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { MAX_INDEX_SIZE } from '../../oci/image-layout.ts';

/** All of a layout's index, or of the file that makes a layout; undefined where it is not there. @throws AgentError LAYOUT_INVALID */
export async function readSmall(directory: string, name: string): Promise<string | undefined> {
  const path = join(directory, name);
  let file: FileHandle | undefined;
  try {
    file = await openToRead(path);
    const stat = await file.stat();
    // A device may have a size of nothing, and no end.
    if (!stat.isFile()) throw new AgentError('LAYOUT_INVALID', `${path} is no file`);
    if (stat.size > MAX_INDEX_SIZE) throw new AgentError('LAYOUT_INVALID', `${path} is too large`);
    return await file.readFile('utf8');
  } catch (error) {
    if (error instanceof AgentError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, error);
  } finally {
    await file?.close();
  }
}

/** Without waiting: where a pipe lies in its place nobody may ever write to it. */
export function openToRead(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

export function unreadable(path: string, cause: unknown): AgentError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  return new AgentError('LAYOUT_INVALID', `${path} cannot be read: ${code}`, { cause });
}
