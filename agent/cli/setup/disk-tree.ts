import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError } from '../../errors.ts';
import { refused, type Tree } from './plan.ts';

/** No client's configuration is that large. Bytes. */
const MAX_SIZE = 1024 * 1024;

/** Names of one directory that are looked at. */
const MAX_NAMES = 10_000;

/** The files below `root`, for which paths are absolute: `/etc/docker/daemon.json`. */
export function diskTree(root: string): Tree {
  return {
    read: (path) => readText(path, join(root, path)),
    list: (path) => {
      try {
        return readdirSync(join(root, path)).sort().slice(0, MAX_NAMES);
      } catch (error) {
        if (isMissing(error)) return [];
        throw unwritable(path, 'read', error);
      }
    },
  };
}

function readText(path: string, file: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readBounded(path, file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error instanceof AgentError ? error : unwritable(path, 'read', error);
  }
  try {
    // What is no UTF-8 would come out as something else when it is written again.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refused(path, 'is not UTF-8');
  }
}

function readBounded(path: string, file: string): Buffer {
  // A pipe in its place must not hold the command.
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile()) throw refused(path, 'is not a file');
    const bytes = Buffer.alloc(MAX_SIZE + 1);
    let length = 0;
    for (;;) {
      const read = readSync(descriptor, bytes, length, bytes.length - length, null);
      if (read === 0) return bytes.subarray(0, length);
      length += read;
      if (length > MAX_SIZE) throw refused(path, 'is too large for a configuration');
    }
  } finally {
    closeSync(descriptor);
  }
}

export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** What a failure of the file system is told as. */
export function unwritable(path: string, done: 'read' | 'written', error: unknown): AgentError {
  const code = codeOf(error);
  const why = { EACCES: 'permission denied', EPERM: 'permission denied', EROFS: 'the file system is read-only' }[code];
  return new AgentError('SETUP_UNWRITABLE', `${path} cannot be ${done}: ${why ?? code}`, { cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
