import { spawn } from 'node:child_process';
import { unusable } from './source.ts';

/** A helper may ask a cloud for a token, and nobody at a keyboard: clients wait 30 s in all. Milliseconds. */
const TIMEOUT = 10_000;

/** Tokens of clouds have some kilobytes. Bytes. */
const MAX_OUTPUT = 64 * 1024;

/** Docker's helpers say this on standard output, and end with 1. */
const NOT_FOUND = 'credentials not found';

export interface RunInit {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends it. */
  readonly stopped: AbortSignal;
  /** Milliseconds. @default 10000 */
  readonly timeout?: number | undefined;
}

/**
 * Runs `docker-credential-<name> get`, with the server on its standard input (docker-credential-helpers, "Development").
 * What it says of a failure may hold a secret: it is not repeated.
 * @param name checked by the caller: it becomes part of a program's name
 * @returns what it put out
 * @throws AgentError CREDENTIALS_UNUSABLE
 */
export async function runHelper(
  name: string,
  server: string,
  { env, stopped, timeout = TIMEOUT }: RunInit,
): Promise<string> {
  const program = `docker-credential-${name}`;
  if (stopped.aborted) throw unusable(`the credential helper ${program} was not run: the agent stops`);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // A group of its own: a script's children would outlive it, and hold its output open.
  const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], detached: true, env: { ...env } });
  const pieces: Buffer[] = [];
  let length = 0;
  const fail = (why: string): void => {
    reject(unusable(`the credential helper ${program} ${why}`));
    kill(child.pid);
  };
  const timer = setTimeout(() => fail(`did not answer within ${timeout} ms`), timeout);
  const stop = (): void => fail('was ended with the agent');
  stopped.addEventListener('abort', stop);
  child.once('error', (error: NodeJS.ErrnoException) => {
    fail(error.code === 'ENOENT' ? 'is not installed where the agent looks (PATH)' : `cannot be run: ${error.code}`);
  });
  // It may end without having read what it was asked.
  child.stdin.on('error', () => {});
  child.stdin.end(`${server}\n`);
  child.stdout.on('data', (piece: Buffer) => {
    length += piece.length;
    if (length > MAX_OUTPUT) return fail(`put out more than ${MAX_OUTPUT} bytes`);
    pieces.push(piece);
  });
  child.once('close', (code, signal) => {
    const output = Buffer.concat(pieces).toString('utf8');
    if (code === 0) resolve(output);
    else if (output.includes(NOT_FOUND)) fail(`has no credentials for ${server}`);
    else fail(`failed for ${server} (${signal ?? `exit code ${code}`})`);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stopped.removeEventListener('abort', stop);
    child.stdout.destroy();
  }
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
