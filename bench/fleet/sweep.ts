import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt } from '../../test/lan/commands.ts';

/**
 * Ends what the bench started and removes what it made, now or in an earlier run that was killed: processes inside its
 * namespaces, and those written down with the time they started, so that a pid used again is left alone.
 */
export async function sweep(directory: string, prefix: string): Promise<void> {
  for (const line of lines(join(directory, 'pids'))) {
    const [pid, started] = line.split(' ');
    if (started !== undefined && startTime(Number(pid)) === started) end(Number(pid));
  }
  const listed = (await attempt(['ip', 'netns', 'list'])).stdout.split('\n');
  const namespaces = listed.flatMap((line) => line.split(' ')[0] ?? []).filter((name) => name.startsWith(prefix));
  for (const name of namespaces) {
    const { stdout } = await attempt(['ip', 'netns', 'pids', name]);
    for (const pid of stdout.split('\n').filter((text) => text !== '')) end(Number(pid));
  }
  for (const name of namespaces) await attempt(['ip', 'netns', 'delete', name]);
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}

/** When a process started, in ticks since boot; undefined where it is gone. */
export function startTime(pid: number): string | undefined {
  // The second field is the command in parentheses and may hold anything; starttime is the 22nd.
  return lines(`/proc/${pid}/stat`)[0]
    ?.replace(/^.*\) /s, '')
    .split(' ')[19];
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function end(pid: number): void {
  if (pid === process.pid) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}
