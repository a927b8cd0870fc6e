import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { link, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fetch } from 'undici';
import type { Digest } from '../protocol/digest.ts';
import { until } from '../test/support/host.ts';

const PROGRAM = '/usr/bin/docker-registry';
const REPOSITORY = 'library/bench';

/** Debian's docker-registry as one would run it for a local hit: it holds one blob. */
export interface Distribution {
  url(digest: Digest): string;
  stop(): Promise<void>;
}

/**
 * Starts it with the blob in `file` in its storage, on the same file system and without a copy.
 * @param beside a directory on that file system
 */
export async function startDistribution(beside: string, file: string, digest: Digest): Promise<Distribution> {
  const directory = await mkdtemp(join(beside, 'distribution-'));
  const [algorithm, hex] = digest.split(':') as [string, string];
  const root = join(directory, 'docker/registry/v2');
  const blob = join(root, 'blobs', algorithm, hex.slice(0, 2), hex);
  const layer = join(root, 'repositories', REPOSITORY, '_layers', algorithm, hex);
  await mkdir(blob, { recursive: true });
  await mkdir(layer, { recursive: true });
  await link(file, join(blob, 'data'));
  await writeFile(join(layer, 'link'), digest);
  const port = await freePort();
  const configuration = join(directory, 'config.yml');
  await writeFile(
    configuration,
    [
      'version: 0.1',
      'log: {level: error, accesslog: {disabled: true}}',
      `storage: {filesystem: {rootdirectory: ${JSON.stringify(directory)}}}`,
      `http: {addr: '127.0.0.1:${port}'}`,
      '',
    ].join('\n'),
  );
  const child = spawn(PROGRAM, ['serve', configuration], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const onExit = () => child.kill('SIGKILL');
  process.on('exit', onExit);
  const base = `http://127.0.0.1:${port}/v2/`;
  await until(`${PROGRAM} answers`, () =>
    fetch(base).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    url: (wanted) => `${base}${REPOSITORY}/blobs/${wanted}`,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      process.off('exit', onExit);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
