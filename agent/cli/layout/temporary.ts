import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

/** What is on its way, beside the layout's own files: no tool looks at names that begin so. */
const PREFIX = '.layerlan-';

export function isTemporary(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** A name of its own each time: another export may be writing the same blob, and what one renames must be all its own. */
export function temporaryPath(directory: string): string {
  return join(directory, `${PREFIX}${process.pid}-${randomUUID()}`);
}

/** Removes what processes left that have ended. */
export async function removeLeft(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const pid = isTemporary(name) ? /^(\d+)-/.exec(name.slice(PREFIX.length))?.[1] : undefined;
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(directory, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
