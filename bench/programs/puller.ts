/**
 * Pulls images as dockerd does, without unpacking them, so that what is measured is where the bytes come from: HEAD of
 * the tag, manifest by digest, configuration and layers three at a time, each hashed as it comes; a body that ends short
 * is taken up again by Range. A blob that was pulled before is not asked for again.
 * Usage: puller.ts JOB, where JOB is JSON: {"mirror": "http://host:port", "repository": …, "tags": […]}
 * Says {"ready": true} when it is warm, starts at the first line on its standard input, and says how it went:
 * {ok, startedAt, endedAt, bytes, firstByteMs, resumed, error}; instants in milliseconds since the epoch.
 */
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Blobs that dockerd takes at a time. */
const PARALLEL = 3;
/** How often dockerd asks again for the rest of a body that ended short. */
const ATTEMPTS = 5;
/** What dockerd waits before it does: so long after the first break, twice that after the second. Milliseconds. */
const PAUSE = 5_000;
const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** An answer that dockerd takes for final. */
class RefusedError extends Error {}

const { mirror, repository, tags } = JSON.parse(process.argv[2] ?? '') as {
  mirror: string;
  repository: string;
  tags: string[];
};
const connections = new Agent({ keepAlive: true, maxSockets: PARALLEL });
const pulled = new Set<string>();
let bytes = 0;
let resumed = 0;
let startedAt = 0;
let firstByteMs = 0;

const now = () => performance.timeOrigin + performance.now();

function ask(method: string, url: string, headers: Record<string, string>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(url, { method, headers, agent: connections }, (response) => {
      const { statusCode = 0, headers: answered } = response;
      if (statusCode !== 307 || answered.location === undefined) return resolve(response);
      response.resume();
      ask(method, new URL(answered.location, url).href, headers).then(resolve, reject);
    })
      .on('error', reject)
      .end();
  });
}

/** @throws RefusedError where the status is none of `expected` */
async function expect(response: IncomingMessage, what: string, ...expected: number[]): Promise<void> {
  if (expected.includes(response.statusCode ?? 0)) return;
  response.resume();
  throw new RefusedError(`${what}: ${response.statusCode}`);
}

async function manifest(tag: string): Promise<{ config: Descriptor; layers: Descriptor[] }> {
  const url = `${mirror}/v2/${repository}/manifests`;
  const head = await ask('HEAD', `${url}/${tag}`, { accept: ACCEPT });
  head.resume();
  await expect(head, `HEAD ${tag}`, 200);
  const digest = String(head.headers['docker-content-digest']);
  const response = await ask('GET', `${url}/${digest}`, { accept: ACCEPT });
  await expect(response, `GET ${digest}`, 200);
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  const body = Buffer.concat(pieces);
  check(digest, createHash('sha256').update(body));
  bytes += body.length;
  return JSON.parse(body.toString());
}

function check(digest: string, hash: Hash): void {
  const got = `sha256:${hash.digest('hex')}`;
  if (got !== digest) throw new RefusedError(`wrong bytes: ${got} for ${digest}`);
}

async function blob({ digest, size }: Descriptor, isLayer: boolean): Promise<void> {
  let hash = createHash('sha256');
  let received = 0;
  let failure: unknown;
  for (let attempt = 0; attempt <= ATTEMPTS; attempt++) {
    if (attempt > 0) {
      resumed++;
      await sleep(PAUSE * attempt);
    }
    try {
      const range = received > 0 ? { range: `bytes=${received}-` } : undefined;
      const response = await ask('GET', `${mirror}/v2/${repository}/blobs/${digest}`, { ...range });
      await expect(response, `GET ${digest}`, 200, 206);
      if (response.statusCode === 200 && received > 0) {
        hash = createHash('sha256');
        bytes -= received;
        received = 0;
      }
      response.on('data', (piece: Buffer) => {
        if (isLayer && firstByteMs === 0) firstByteMs = now() - startedAt;
        hash.update(piece);
        received += piece.length;
        bytes += piece.length;
      });
      await once(response, 'end');
      if (received >= size) return check(digest, hash);
      failure = new Error(`${digest} ended at ${received} of ${size}`);
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      failure = error;
      // Nothing answered at all: as for dockerd, that is final.
      if (received === 0) break;
    }
  }
  throw failure;
}

async function pull(tag: string): Promise<void> {
  const { config, layers } = await manifest(tag);
  const waiting = [config, ...layers].filter(({ digest }) => !pulled.has(digest));
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      pulled.add(next.digest);
      await blob(next, next !== config);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
}

// The first hash and the first request load what they need, which is not to be measured.
createHash('sha256').update(Buffer.alloc(65_536)).digest('hex');
console.log(JSON.stringify({ ready: true }));
await once(process.stdin, 'data');
startedAt = now();
let error: string | undefined;
try {
  for (const tag of tags) await pull(tag);
} catch (thrown) {
  error = thrown instanceof Error ? thrown.message : String(thrown);
}
const result = { ok: error === undefined, startedAt, endedAt: now(), bytes, firstByteMs, resumed, error };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
