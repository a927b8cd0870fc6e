import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LAB_DIR } from './place.ts';

/** How long a process gets between SIGTERM and SIGKILL. Milliseconds. */
const GRACE = 15_000;

/** A long-lived process of the lab. */
export interface Process {
  readonly pid: number;
  /** Settles with the exit code, or null where a signal ended it. Never rejects. */
  readonly ended: Promise<number | null>;
  readonly isRunning: boolean;
  /** Sends a signal, if it still runs. */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL where that is not heeded. */
  stop(): Promise<number | null>;
}

export interface ProcessInit {
  readonly argv: readonly string[];
  /** Where standard output goes, appended to. */
  readonly stdout: string;
  /** Where standard error goes. @default the same file */
  readonly stderr?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts a process and writes it down, with the time it started, so that test/lan/run can end it where this process
 * is killed before it does so itself.
 * @throws Error where it cannot be started
 */
export async function startProcess(init: ProcessInit): Promise<Process> {
  const [file, ...args] = init.argv;
  const out = openSync(init.stdout, 'a');
  const err = init.stderr === undefined ? out : openSync(init.stderr, 'a');
  let child: ChildProcess;
  try {
    child = spawn(file as string, args, { stdio: ['ignore', out, err], env: { ...process.env, ...init.env } });
  } finally {
    closeSync(out);
    if (err !== out) closeSync(err);
  }
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const pid = child.pid as number;
  recordProcess(pid);
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    pid,
    ended,
    get isRunning() {
      return isRunning();
    },
    signal: (signal) => {
      if (isRunning()) process.kill(pid, signal);
    },
    stop: async () => {
      if (!isRunning()) return ended;
      // One that a test has stopped would not hear SIGTERM.
      process.kill(pid, 'SIGCONT');
      process.kill(pid, 'SIGTERM');
      const grace = new AbortController();
      const late = sleep(GRACE, undefined, { signal: grace.signal }).then(
        () => process.kill(pid, 'SIGKILL'),
        () => undefined,
      );
      const code = await ended;
      grace.abort();
      await late;
      return code;
    },
  };
}

/** Writes a running process down, for test/lan/run to end. */
export function recordProcess(pid: number): void {
  // The 22nd field, starttime; the second may hold blanks and ends at the last bracket (proc(5)).
  const started = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')[19];
  appendFileSync(join(LAB_DIR, 'pids'), `${pid} ${started}\n`);
}
