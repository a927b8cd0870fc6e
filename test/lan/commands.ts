import { execFile } from 'node:child_process';

/** How long a command of the lab may take, unless told otherwise. Milliseconds. */
const DEFAULT_TIMEOUT = 30_000;

/** Output beyond this ends the command. Bytes. */
const MAX_OUTPUT = 16 * 1024 * 1024;

export interface CommandInit {
  /** Milliseconds. @default 30000 */
  readonly timeout?: number;
  /** Ends the command with SIGKILL. */
  readonly signal?: AbortSignal;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  /** Exit code; null where it was ended by a signal, a time-out among them. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, whatever its exit code. */
export function attempt(argv: readonly string[], init: CommandInit = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  return new Promise((resolve) => {
    const options = {
      timeout: init.timeout ?? DEFAULT_TIMEOUT,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT,
      env: { ...process.env, ...init.env },
      ...(init.signal && { signal: init.signal }),
    } as const;
    const child = execFile(file as string, args, options, (error, stdout, stderr) => {
      const code = child.exitCode;
      // A command that could not be started at all has no output of its own.
      resolve({ code, stdout, stderr: error && stderr === '' ? error.message : stderr });
    });
  });
}

/**
 * Runs a command that has to succeed, and gives its standard output.
 * @throws Error with what it printed, where its exit code is not 0
 */
export async function must(argv: readonly string[], init: CommandInit = {}): Promise<string> {
  const { code, stdout, stderr } = await attempt(argv, init);
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code ?? 'by a signal or time-out'}\n${stderr}${stdout}`);
  return stdout;
}
