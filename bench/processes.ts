import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** The kernel counts a process's CPU time in these. Seconds (USER_HZ is 100 on Linux, whatever the machine). */
const TICK = 1 / 100;

/** A child of the bench: what it says and what it costs. Ended with the bench at the latest. */
export interface Process {
  readonly pid: number;
  /** The next line of JSON it prints. @throws where it ends first */
  line<T>(): Promise<T>;
  /** CPU-seconds so far, of all its threads. */
  cpu(): number;
  /** Peak RSS since {@link forgetPeak}. Bytes. */
  peak(): number;
  rss(): number;
  /** The kernel's peak starts anew from here. */
  forgetPeak(): void;
  signal(signal: NodeJS.Signals): void;
  /** Ends it, with SIGTERM and patience first. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Runs a TypeScript program of this repository under the very Node that runs the bench. */
export function run(program: string, ...args: string[]): Process {
  return watch(program, spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }));
}

/** The same for a program that goes on talking: what it says goes to a file, since nobody reads it along. */
export function runLogged(log: string, env: Readonly<Record<string, string>>, ...argv: string[]): Process {
  const file = openSync(log, 'w');
  try {
    const options = { stdio: ['ignore', file, file], env: { ...process.env, ...env } } satisfies SpawnOptions;
    return watch(argv.join(' '), spawn(process.execPath, argv, options));
  } finally {
    closeSync(file);
  }
}

function watch(program: string, child: ChildProcess): Process {
  running.add(child);
  const ended = once(child, 'exit').then(() => void running.delete(child));
  const lines = child.stdout && createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const pid = child.pid as number;
  const proc = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8');
  const status = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(proc('status'))?.[1]) * 1024;
  return {
    pid,
    async line() {
      for (;;) {
        const { value, done } = (await lines?.next()) ?? { done: true };
        if (done) throw new Error(`${program} ended before it said anything`);
        if (value.startsWith('{')) return JSON.parse(value);
      }
    },
    cpu() {
      // The second field is the command in parentheses and may hold anything.
      const fields = proc('stat')
        .replace(/^.*\) /s, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) * TICK;
    },
    peak: () => status('VmHWM'),
    rss: () => status('VmRSS'),
    forgetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
    signal: (signal) => void child.kill(signal),
    async stop() {
      if (!running.has(child)) return;
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(late);
    },
  };
}
