import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Host, type HostOptions, startHost } from './host.ts';
import { filesWith } from './secrets.ts';

/** A host, and the lines that it logs, at the lowest level. */
export interface Said {
  readonly lines: string[];
  readonly host: Host;
}

export async function startTalkative(options: Omit<HostOptions, 'logger'>): Promise<Said> {
  const lines: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  return { lines, host: await startHost({ ...options, logger }) };
}

/** Everything that a host says but its answers to pulls: its log, its status and its metrics. */
export async function everythingSaid({ lines, host }: Said): Promise<string> {
  const answers = await Promise.all(
    ['/status', '/metrics', '/healthz'].map(async (path) => (await fetch(`${host.mirror}${path}`)).text()),
  );
  return [...lines, ...answers].join('\n');
}

export function assertNotSaid(text: string, forms: readonly string[]): void {
  for (const form of forms) {
    assert.ok(!text.includes(form), `said: …${text.slice(Math.max(0, text.indexOf(form) - 200)).slice(0, 400)}`);
  }
}

/** Searches every byte of a host's store for `forms`; those of `planted` are put there, to see that they are found. */
export async function assertNotStored(
  host: Host,
  forms: readonly (string | Uint8Array)[],
  planted: readonly (string | Uint8Array)[],
): Promise<void> {
  const store = join(host.directory, 'store');
  assert.deepEqual(await filesWith(store, forms), []);
  const files = planted.map((_, index) => join(store, 'tmp', `planted-${index}`));
  const bytesOf = (index: number) =>
    Buffer.concat([Buffer.of(0, 255), Buffer.from(planted[index] ?? ''), Buffer.of(0)]);
  await Promise.all(files.map((file, index) => writeFile(file, bytesOf(index))));
  assert.deepEqual((await filesWith(store, forms)).sort(), files.toSorted());
  await Promise.all(files.map((file) => rm(file)));
}
