import { execFile } from 'node:child_process';
import { AgentError } from '../../errors.ts';
import type { Client } from './plan.ts';

/** How long a program may take to say its version. Milliseconds. */
const TIMEOUT = 3_000;

/** More than any program says of its version. Bytes. */
const MAX_OUTPUT = 64 * 1024;

/** Programs that know, in the order in which they are asked: the daemon itself is here more often than it runs. */
const COMMANDS: Partial<Record<Client, readonly (readonly [file: string, ...args: string[]])[]>> = {
  docker: [
    ['dockerd', '--version'],
    ['docker', 'version', '--format', '{{.Server.Version}}'],
  ],
};

/** The major version that `--client-version` names. @throws AgentError CONFIG_INVALID */
export function parseVersion(text: string): number {
  const [, major] = /^v?([0-9]{1,4})(?:[.+-]\S*)?$/.exec(text) ?? [];
  if (major !== undefined) return Number(major);
  throw new AgentError('CONFIG_INVALID', `--client-version must look like 29.1.0, not "${text}".`);
}

/** The major version in what a program says of itself: `Docker version 20.10.24+dfsg1, build 297e128`. */
export function majorIn(output: string): number | undefined {
  const [, major] = /(?:^|[\sv])([0-9]{1,4})\.[0-9]+/.exec(output) ?? [];
  return major === undefined ? undefined : Number(major);
}

/** The major version of the client on this host; undefined where it does not matter or nobody says. */
export async function findVersion(client: Client, env: Readonly<Record<string, string | undefined>>) {
  for (const [file, ...args] of COMMANDS[client] ?? []) {
    const version = majorIn(await outputOf(file, args, env));
    if (version !== undefined) return version;
  }
  return undefined;
}

function outputOf(file: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  return new Promise<string>((resolve) => {
    const options = { timeout: TIMEOUT, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT, env } as const;
    execFile(file, args, options, (error, stdout) => resolve(error === null ? stdout : ''));
  });
}
