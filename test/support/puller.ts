import { createHash } from 'node:crypto';
import { Agent, request } from 'undici';
import { descriptorsOf } from '../../agent/oci/manifest.ts';
import { algorithmOf, type Digest, isDigest, toDigest } from '../../protocol/digest.ts';

/** Layers that dockerd takes at a time. */
const PARALLEL = 3;
/** How often dockerd asks again for the rest of a body that ended short. */
const ATTEMPTS = 5;
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export interface PulledBlob {
  readonly digest: Digest;
  readonly size: number;
  /** What the bytes that came really hash to. */
  readonly recomputed: Digest;
  /** How often the body ended short and was taken up again. */
  readonly resumed: number;
}

export interface PulledImage {
  readonly manifest: PulledBlob;
  readonly blobs: PulledBlob[];
  /** Whether every digest recomputed is the one asked for. */
  readonly matches: boolean;
}

export interface PullOptions {
  /** `http://host:port` of a registry or mirror. */
  readonly mirror: string;
  /** `library/app` */
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
  readonly signal?: AbortSignal;
}

/**
 * Pulls an image as dockerd does, without unpacking it: HEAD of the tag, manifest by digest, config and layers three
 * at a time, each hashed as it comes and taken up again with a Range where its body ends short.
 */
export async function pullImage(options: PullOptions): Promise<PulledImage> {
  const dispatcher = new Agent({ connections: PARALLEL, headersTimeout: 30_000, bodyTimeout: 120_000 });
  try {
    const manifest = await pullManifest(options, dispatcher);
    const wanted = descriptorsOf(manifest.bytes);
    const blobs: PulledBlob[] = [];
    const lane = async () => {
      for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
        blobs.push(await pullBlob(options, next.digest, dispatcher));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, lane));
    const all = [manifest.blob, ...blobs];
    return { manifest: manifest.blob, blobs, matches: all.every((blob) => blob.digest === blob.recomputed) };
  } finally {
    await dispatcher.destroy();
  }
}

interface PulledManifest {
  readonly bytes: Buffer;
  readonly blob: PulledBlob;
}

/** The manifest; behind an index, that of its first platform. */
async function pullManifest(
  { mirror, repository, reference, signal }: PullOptions,
  dispatcher: Agent,
): Promise<PulledManifest> {
  const url = (what: string) => `${mirror}/v2/${repository}/manifests/${what}`;
  const common = { dispatcher, headers: { accept: ACCEPT }, ...(signal && { signal }) };
  let digest = reference;
  if (!isDigest(reference)) {
    const head = await request(url(reference), { ...common, method: 'HEAD' });
    await head.body.dump();
    digest = String(head.headers['docker-content-digest']);
    if (head.statusCode !== 200 || !isDigest(digest)) throw new Error(`HEAD ${reference}: ${head.statusCode}`);
  }
  const response = await request(url(digest), common);
  const bytes = Buffer.from(await response.body.arrayBuffer());
  if (response.statusCode !== 200)
    throw new Error(`GET ${digest}: ${response.statusCode} ${bytes.toString('utf8', 0, 300)}`);
  const recomputed = toDigest('sha256', createHash('sha256').update(bytes).digest());
  const [platform] = JSON.parse(bytes.toString()).manifests ?? [];
  if (platform !== undefined)
    return pullManifest({ mirror, repository, reference: platform.digest, ...(signal && { signal }) }, dispatcher);
  return { bytes, blob: { digest: digest as Digest, size: bytes.length, recomputed, resumed: 0 } };
}

/** One blob, hashed as it comes. @throws where five attempts did not bring it to its end */
export async function pullBlob(
  { mirror, repository, signal }: Omit<PullOptions, 'reference'>,
  digest: Digest,
  dispatcher: Agent,
): Promise<PulledBlob> {
  const hash = createHash(algorithmOf(digest));
  let size = Number.POSITIVE_INFINITY;
  let received = 0;
  let failure: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const headers = received > 0 ? { range: `bytes=${received}-` } : {};
      const url = `${mirror}/v2/${repository}/blobs/${digest}`;
      const response = await request(url, { dispatcher, headers, ...(signal && { signal }) });
      if (response.statusCode !== (received > 0 ? 206 : 200)) {
        throw new Error(`GET ${digest}: ${response.statusCode} ${(await response.body.text()).slice(0, 300)}`);
      }
      size = received + Number(response.headers['content-length']);
      for await (const piece of response.body) {
        hash.update(piece);
        received += piece.length;
      }
      if (received === size)
        return { digest, size, recomputed: toDigest(algorithmOf(digest), hash.digest()), resumed: attempt };
      failure = new Error(`the body of ${digest} ended at ${received} of ${size}`);
    } catch (error) {
      signal?.throwIfAborted();
      failure = error;
      // A refusal is final, as it is for dockerd; a broken body is not.
      if (received === 0) break;
    }
  }
  throw failure;
}
