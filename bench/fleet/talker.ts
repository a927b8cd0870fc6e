import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { recordProcess } from '../../test/lan/process.ts';

/** A child that is spoken to in lines of JSON. */
export interface Talker {
  readonly pid: number;
  say(what: unknown): void;
  /** The next thing it says. @throws Error where it ends first, or says nothing for `timeout` milliseconds */
  hear<T>(timeout?: number): Promise<T>;
  /** Ends it at once. */
  end(): Promise<void>;
}

/** How long a child may take to answer where nothing else is said. Milliseconds. */
const PATIENCE = 60_000;

/** Starts one; what it complains of goes to the file `log`. Written down, so that a sweep finds it. */
export function startTalker(argv: readonly string[], log: string): Talker {
  const [file = '', ...args] = argv;
  const complaints = openSync(log, 'a');
  let child: ChildProcess;
  try {
    child = spawn(file, args, { stdio: ['pipe', 'pipe', complaints] });
  } finally {
    closeSync(complaints);
  }
  const said: unknown[] = [];
  let wake: (() => void) | undefined;
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    child.once('close', () => {
      isOver = true;
      resolve();
      wake?.();
    });
    child.once('error', () => undefined);
  });
  if (child.pid === undefined) throw new Error(`${file} could not be started`);
  recordProcess(child.pid);
  child.stdin?.on('error', () => undefined);
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    if (line.startsWith('{')) said.push(JSON.parse(line));
    wake?.();
  });
  return {
    pid: child.pid,
    say: (what) => void child.stdin?.write(`${JSON.stringify(what)}\n`),
    async hear<T>(timeout = PATIENCE) {
      const deadline = performance.now() + timeout;
      while (said.length === 0) {
        const left = deadline - performance.now();
        if (isOver) throw new Error(`${args.slice(0, 8).join(' ')} ended without a word; see ${log}`);
        if (left <= 0) throw new Error(`said nothing for ${timeout} ms`);
        await new Promise<void>((resolve) => {
          const late = setTimeout(resolve, left);
          wake = () => {
            clearTimeout(late);
            resolve();
          };
        });
      }
      return said.shift() as T;
    },
    async end() {
      if (!isOver) child.kill('SIGKILL');
      await over;
    },
  };
}
