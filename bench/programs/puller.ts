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
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, LeanConnection } from './lean-http.ts';

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
const pulled = new Set<string>();
let bytes = 0;
let resumed = 0;
let startedAt = 0;
let firstByteMs = 0;

const now = () => performance.timeOrigin + performance.now();

/** @throws RefusedError where the status is none of `expected` */
function expect({ status }: Answer, what: string, ...expected: number[]): void {
  if (!expected.includes(status)) throw new RefusedError(`${what}: ${status}`);
}

async function manifest(tag: string): Promise<{ config: Descriptor; layers: Descriptor[] }> {
  const connection = new LeanConnection(mirror);
  const path = `/v2/${repository}/manifests`;
  const head = await connection.ask('HEAD', `${path}/${tag}`, { accept: ACCEPT });
  expect(head, `HEAD ${tag}`, 200);
  const digest = head.headers.get('docker-content-digest') ?? '';
  const pieces: Buffer[] = [];
  const answer = await connection.ask('GET', `${path}/${digest}`, { accept: ACCEPT }, (piece) =>
    pieces.push(Buffer.from(piece)),
  );
  expect(answer, `GET ${digest}`, 200);
  connection.close();
  const body = Buffer.concat(pieces);
  check(digest, createHash('sha256').update(body));
  bytes += body.length;
  return JSON.parse(body.toString());
}

function check(digest: string, hash: Hash): void {
  const got = `sha256:${hash.digest('hex')}`;
  if (got !== digest) throw new RefusedError(`wrong bytes: ${got} for ${digest}`);
}

async function blob(connection: LeanConnection, { digest, size }: Descriptor, isLayer: boolean): Promise<void> {
  let hash = createHash('sha256');
  let received = 0;
  let failure: unknown;
  for (let attempt = 0; attempt <= ATTEMPTS; attempt++) {
    if (attempt > 0) {
      resumed++;
      await sleep(PAUSE * attempt);
    }
    try {
      let isResumed = received > 0;
      const range = isResumed ? { range: `bytes=${received}-` } : undefined;
      const answer = await connection.ask(
        'GET',
        `/v2/${repository}/blobs/${digest}`,
        { ...range },
        (piece, { status }) => {
          if (status !== 200 && status !== 206) return;
          if (status === 200 && isResumed) {
            isResumed = false;
            hash = createHash('sha256');
            bytes -= received;
            received = 0;
          }
          if (isLayer && firstByteMs === 0) firstByteMs = now() - startedAt;
          hash.update(piece);
          received += piece.length;
          bytes += piece.length;
        },
      );
      expect(answer, `GET ${digest}`, 200, 206);
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
    const connection = new LeanConnection(mirror);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      pulled.add(next.digest);
      await blob(connection, next, next !== config);
    }
    connection.close();
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
