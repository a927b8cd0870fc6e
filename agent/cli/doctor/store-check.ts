import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { sizeText } from '../units.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const NAME = 'store';

/** Less than a handful of large images. Bytes. */
const LITTLE = 5 * 1024 ** 3;

/** Less than one large layer. Bytes. */
const NEXT_TO_NOTHING = 256 * 1024 ** 2;

/** What was seen of the store's place. */
export interface StoreLook {
  readonly path: string;
  /** Bytes that may still be written; undefined where it could not be asked. */
  readonly free: number | undefined;
  /** Why this process may not write there; undefined where it may. */
  readonly problem: string | undefined;
  /** Whether an agent runs: then what it may do counts, and not what this process may. */
  readonly isRunning: boolean;
}

export function judgeStore({ path, free, problem, isRunning }: StoreLook): Finding {
  if (problem !== undefined && !isRunning) {
    return fail(
      NAME,
      `${path} cannot be written by this user: ${problem}`,
      'run the agent as its owner, or set store.path',
    );
  }
  if (free === undefined)
    return warn(NAME, `${path}: its free space cannot be seen`, 'run the doctor as the agent’s user');
  const what = `${path}: ${sizeText(free)} free`;
  if (free < NEXT_TO_NOTHING)
    return fail(NAME, what, 'make room, or set store.path: nothing that is pulled can be kept');
  if (free < LITTLE) return warn(NAME, what, 'make room, or set store.path to where more is free');
  return ok(NAME, what);
}

/** Looks at the store's directory, or at the nearest above it that is there. */
export function lookAtStore(path: string, isRunning: boolean): StoreLook {
  let place = path;
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  return { path, free: freeAt(place), problem: problemAt(place), isRunning };
}

function problemAt(place: string): string | undefined {
  try {
    if (!statSync(place).isDirectory()) return `${place} is not a directory`;
    accessSync(place, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { EACCES: 'permission denied', EROFS: 'the file system is read-only' }[code] ?? code;
  }
}

function freeAt(place: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(place);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
