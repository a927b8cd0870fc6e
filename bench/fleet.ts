import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseFleetOptions } from './fleet/options.ts';
import { startTime, sweep } from './fleet/sweep.ts';
import { inMemory } from './in-memory.ts';

const MAIN = fileURLToPath(new URL('fleet/main.ts', import.meta.url));
/** Namespaces of the bench begin with this; not with that of test/lan, so that both may run at once. */
const PREFIX = 'lb-';
const LOCK = '/run/layerlan-bench.lock';
/** What eight stores and a cache need. Bytes. */
const ROOM = 4 * 1024 ** 3;

/**
 * Eight hosts of a LAN and more, in network namespaces with shaped links. Played by a process of its own, so that
 * whatever ends it, what it started is ended and what it made is removed.
 * @throws Error where this is not root, another bench is under way, or the bench failed
 */
export async function fleet(args: readonly string[]): Promise<unknown> {
  parseFleetOptions(args);
  if (process.getuid?.() !== 0) throw new Error('fleet needs root: it makes network namespaces');
  takeLock();
  const directory = process.env.LAYERLAN_BENCH_DIR ?? roomyDirectory();
  await sweep(directory, PREFIX);
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, LAYERLAN_LAN_DIR: directory, LAYERLAN_LAN_PREFIX: PREFIX },
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const pass = () => void child.kill('SIGTERM');
  for (const signal of signals) process.on(signal, pass);
  let results: unknown;
  child.on('message', (message) => {
    results = message;
  });
  try {
    const [code, signal] = await once(child, 'exit');
    if (results === undefined) throw new Error(`the fleet bench ended early: ${signal ?? `exit ${code}`}`);
    return results;
  } finally {
    await sweep(directory, PREFIX);
    for (const signal of signals) process.off(signal, pass);
    rmSync(LOCK, { force: true });
  }
}

/**
 * In memory where there is room: each host of a LAN has a disk of its own, and eight that share one would be held up by
 * each other's fsync.
 */
function roomyDirectory(): string {
  return join(inMemory(ROOM) ?? '/var/tmp', 'layerlan-bench');
}

/** One at a time; a lock whose owner is gone is none. */
function takeLock(): void {
  const mine = `${process.pid} ${startTime(process.pid)}`;
  try {
    writeFileSync(LOCK, mine, { flag: 'wx' });
  } catch {
    const [pid, started] = readFileSync(LOCK, 'utf8').split(' ');
    if (startTime(Number(pid)) === started) throw new Error(`another fleet bench is under way: process ${pid}`);
    writeFileSync(LOCK, mine);
  }
}
