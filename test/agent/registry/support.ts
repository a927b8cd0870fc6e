import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type Logger, pino } from 'pino';
import { AgentError } from '../../../agent/errors.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import type { TaggedImage } from '../../../agent/oci/image.ts';
import { createMirror, type Mirror, type MirrorInit } from '../../../agent/registry/mirror.ts';
import type {
  BlobRequest,
  Content,
  LocalCommand,
  Manifest,
  ManifestRequest,
  OpenBlob,
  ReferrersRequest,
  RefreshedTag,
  TagsRequest,
} from '../../../agent/registry/ports.ts';
import { type Digest, toDigest } from '../../../protocol/digest.ts';

export const MEDIA_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** The in-memory twin of what is behind the face. */
export class MemoryContent implements Content {
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, Manifest>();
  readonly requests: (ManifestRequest | BlobRequest | TagsRequest | ReferrersRequest)[] = [];
  tags: string[] = [];
  referrers = '{"schemaVersion":2,"manifests":[]}';
  /** Blobs opened and not closed. */
  open = 0;
  /** Pieces handed out. */
  pieces = 0;
  pieceSize = 64 * 1024;
  /** What was read, and whether as a part. */
  readonly reads: { start: number; end: number; isPart: boolean }[] = [];
  /** What happens before each piece: may wait, may throw. */
  beforePiece: (position: number, signal: AbortSignal) => Promise<void> | void = () => {};
  /** What a tag was when it is refreshed. */
  was: RefreshedTag['was'];
  /** What a call answers with instead. */
  failure: unknown;

  addBlob(size: number): { digest: Digest; bytes: Buffer } {
    const bytes = randomBytes(size);
    const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
    this.blobs.set(digest, bytes);
    return { digest, bytes };
  }

  addManifest(tag: string, text: string): Manifest {
    const bytes = Buffer.from(text);
    const digest = toDigest('sha256', createHash('sha256').update(bytes).digest());
    const manifest = { digest, mediaType: MEDIA_TYPE, bytes };
    this.manifests.set(tag, manifest).set(digest, manifest);
    return manifest;
  }

  async headManifest(request: ManifestRequest) {
    const { bytes, ...manifest } = await this.getManifest(request);
    return { ...manifest, size: bytes.length };
  }

  async getManifest(request: ManifestRequest): Promise<Manifest> {
    this.note(request);
    const manifest = this.manifests.get(request.reference);
    if (manifest === undefined) throw new AgentError('MANIFEST_UNKNOWN', 'No such manifest.');
    return manifest;
  }

  async refreshTag({ repository, tag }: TaggedImage): Promise<RefreshedTag> {
    const { bytes, ...is } = await this.getManifest({ repository, reference: tag, accept: [] });
    return { was: this.was, is: { ...is, size: bytes.length } };
  }

  async headBlob(request: BlobRequest): Promise<{ size: number }> {
    this.note(request);
    const bytes = this.blobs.get(request.digest);
    if (bytes === undefined) throw new AgentError('BLOB_UNKNOWN', 'No such blob.');
    return { size: bytes.length };
  }

  async openBlob(request: BlobRequest): Promise<OpenBlob> {
    const { size } = await this.headBlob(request);
    const bytes = this.blobs.get(request.digest)!;
    this.open += 1;
    let isOpen = true;
    return {
      digest: request.digest,
      size,
      read: (start, end, signal, isPart = false) => {
        this.reads.push({ start, end, isPart });
        return this.read(bytes, start, end, signal);
      },
      close: () => {
        if (isOpen) this.open -= 1;
        isOpen = false;
      },
    };
  }

  async listTags(request: TagsRequest) {
    this.note(request);
    return { tags: this.tags.slice(0, request.n), hasMore: this.tags.length > (request.n ?? this.tags.length) };
  }

  async listReferrers(request: ReferrersRequest) {
    this.note(request);
    return { mediaType: 'application/vnd.oci.image.index.v1+json', bytes: Buffer.from(this.referrers) };
  }

  private async *read(bytes: Buffer, start: number, end: number, signal: AbortSignal) {
    for (let position = start; position < end; position += this.pieceSize) {
      await this.beforePiece(position, signal);
      signal.throwIfAborted();
      this.pieces += 1;
      yield bytes.subarray(position, Math.min(end, position + this.pieceSize));
    }
  }

  private note(request: MemoryContent['requests'][number]): void {
    this.requests.push(request);
    if (this.failure !== undefined) throw this.failure;
  }
}

export interface Bench {
  readonly mirror: Mirror;
  readonly content: MemoryContent;
  readonly url: string;
  readonly port: number;
  /** Lines logged. */
  readonly log: Record<string, unknown>[];
  health: { ok: boolean };
}

export async function startMirror(
  t: TestContext,
  init: MirrorInit = {},
  commands: Record<string, LocalCommand> = {},
): Promise<Bench> {
  const content = new MemoryContent();
  const log: Record<string, unknown>[] = [];
  const logger: Logger = pino({ level: 'debug' }, { write: (line: string) => void log.push(JSON.parse(line)) });
  const bench = { content, log, health: { ok: true } };
  const mirror = createMirror(
    {
      logger,
      metrics: createMetrics(),
      content,
      status: () => ({ version: 'x' }),
      health: () => bench.health,
      commands,
    },
    { drainTimeout: 0, ...init },
  );
  await mirror.listen(['127.0.0.1:0']);
  t.after(() => mirror.close());
  const address = mirror.addresses[0]!;
  return Object.assign(bench, { mirror, url: `http://${address}`, port: Number(address.split(':')[1]) });
}

/** A connection with nothing between the test and the wire. */
export async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

export function requestText(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}\r\n`;
}

/** Waits until `condition` holds; the test's own time-out is the bound. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
