import { statfsSync } from 'node:fs';

const MEMORY = '/dev/shm';

/**
 * Where files are in memory, on a machine that has it and room: there no disk decides what a run costs.
 * @param room bytes
 */
export function inMemory(room: number): string | undefined {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize > room ? MEMORY : undefined;
  } catch {
    // No such place here.
    return undefined;
  }
}
