import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Target } from './target.ts';

/** Debian's package docker-registry: distribution 2.8. */
const PROGRAM = '/usr/bin/docker-registry';

const HOST = '127.0.0.1';

/** How long it may take to listen. Milliseconds. */
const START_WITHIN = 15_000;

/** A registry that others have written, so that the suite itself is judged. Content is pushed to it. */
export async function startDistribution(): Promise<Target> {
  await access(PROGRAM).catch(() => {
    throw new Error(`${PROGRAM} is missing: apt-get install docker-registry`);
  });
  const directory = await mkdtemp(join(tmpdir(), 'layerlan-conformance-'));
  const port = await freePort();
  const configuration = join(directory, 'config.yml');
  const lines = [
    'version: 0.1',
    'log: {level: error, accesslog: {disabled: true}}',
    `storage: {filesystem: {rootdirectory: ${JSON.stringify(directory)}}}`,
    `http: {addr: '${HOST}:${port}'}`,
    '',
  ];
  await writeFile(configuration, lines.join('\n'));
  const child = spawn(PROGRAM, ['serve', configuration], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const url = `http://${HOST}:${port}`;
  const close = async () => {
    child.kill('SIGTERM');
    await exited;
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await Promise.race([
      answers(`${url}/v2/`),
      exited.then(() => Promise.reject(new Error(`${PROGRAM} ended before it listened`))),
    ]);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name: 'distribution',
    host: HOST,
    port,
    async addBlob(repository, bytes, digest) {
      const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
      const location = new URL(await created(begun, 202), url);
      location.searchParams.set('digest', digest);
      await created(await fetch(location, { method: 'PUT', body: bytes }), 201);
    },
    async addManifest(repository, { mediaType, bytes, digest }, tag) {
      for (const reference of tag === undefined ? [digest] : [digest, tag]) {
        const headers = { 'Content-Type': mediaType };
        const address = `${url}/v2/${repository}/manifests/${reference}`;
        await created(await fetch(address, { method: 'PUT', headers, body: bytes }), 201);
      }
    },
    misbehave() {
      throw new Error('there is nothing behind it');
    },
    close,
  };
}

/** @returns where it says that it went on */
async function created(response: Response, status: number): Promise<string> {
  const text = await response.text();
  if (response.status !== status) throw new Error(`push: ${response.status} ${text}`);
  return response.headers.get('location') ?? '';
}

async function answers(url: string): Promise<void> {
  const until = performance.now() + START_WITHIN;
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) return;
    if (performance.now() > until) throw new Error(`${PROGRAM} does not listen`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, HOST), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
