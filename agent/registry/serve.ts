import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, briefly } from '../errors.ts';
import { repositoryText } from '../oci/reference.ts';
import type { Admission } from './admission.ts';
import { begun } from './begun.ts';
import { etagOf, isKnownToClient, isRangeCurrent } from './conditional.ts';
import type { Content } from './ports.ts';
import { selectRange } from './range.ts';
import { parseRoute, type Route } from './route.ts';
import { clientSignal, sendBody } from './send.ts';
import { staleWarning } from './warning.ts';

export interface ServeComponents {
  readonly logger: Logger;
  readonly content: Content;
}

export interface ServeInit {
  /** Milliseconds. */
  readonly clientStallTimeout: number;
  /** Throws where a repository may not be pulled. */
  readonly admit: Admission;
  /** Fires when the mirror closes for good: bodies on their way end short. */
  readonly closing: AbortSignal;
}

/**
 * How long headers wait for the first byte of a body, so that what fails at once has a status of its own. Clients give
 * up on headers after 30 s. Milliseconds.
 */
const HEADERS_WITHIN = 5_000;

type ManifestRoute = Extract<Route, { kind: 'manifest' }>;
type BlobRoute = Extract<Route, { kind: 'blob' }>;

/** Answers everything under `/v2/` (OCI distribution spec, "Pull"). */
export function createServe(components: ServeComponents, init: ServeInit) {
  const { content, logger } = components;

  return async function serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    reply.header('Docker-Distribution-API-Version', 'registry/2.0');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      reply.header('Allow', 'GET, HEAD');
      throw new AgentError('UNSUPPORTED', `${request.method} is not for a pull-through mirror.`);
    }
    const route = parseRoute(request.raw.url ?? '');
    if (route.kind === 'refused') throw new AgentError(route.code, route.message);
    if (route.kind === 'base') return reply.header('Content-Type', 'application/json').send(Buffer.from('{}'));
    if (route.namespace !== undefined) reply.header('OCI-Namespace', route.namespace);
    // Before anybody is asked: what may not be pulled is not here either, whoever holds it.
    init.admit(route.repository);
    const signal = clientSignal(reply.raw, init.closing);
    if (route.kind === 'manifest') return await serveManifest(route, request, reply, signal);
    if (request.method === 'HEAD') return await describeBlob(route, request, reply, signal);
    return await serveBlob(route, request, reply, signal);
  };

  async function serveManifest(
    { repository, reference }: ManifestRoute,
    request: FastifyRequest,
    reply: FastifyReply,
    signal: AbortSignal,
  ): Promise<FastifyReply> {
    const wanted = { repository, reference, accept: acceptOf(request) };
    const isHead = request.method === 'HEAD';
    const manifest = isHead ? await content.headManifest(wanted, signal) : await content.getManifest(wanted, signal);
    reply.header('Docker-Content-Digest', manifest.digest).header('ETag', etagOf(manifest.digest));
    if (manifest.staleFor !== undefined) reply.header('Warning', staleWarning(manifest.staleFor));
    if (isKnownToClient(request.headers['if-none-match'], manifest.digest)) return reply.code(304).send();
    const size = 'bytes' in manifest ? manifest.bytes.length : manifest.size;
    reply.header('Content-Type', manifest.mediaType).header('Content-Length', size);
    return 'bytes' in manifest ? reply.send(bufferOf(manifest.bytes)) : reply.send();
  }

  async function describeBlob(
    { repository, digest }: BlobRoute,
    request: FastifyRequest,
    reply: FastifyReply,
    signal: AbortSignal,
  ): Promise<FastifyReply> {
    // A Range means nothing on HEAD (RFC 9110, 14.2).
    const { size } = await content.headBlob({ repository, digest }, signal);
    setBlobHeaders(reply, digest);
    if (isKnownToClient(request.headers['if-none-match'], digest)) return reply.code(304).send();
    return reply.header('Content-Type', 'application/octet-stream').header('Content-Length', size).send();
  }

  async function serveBlob(
    { repository, digest }: BlobRoute,
    request: FastifyRequest,
    reply: FastifyReply,
    signal: AbortSignal,
  ): Promise<FastifyReply> {
    const blob = await content.openBlob({ repository, digest }, signal);
    try {
      setBlobHeaders(reply, digest);
      if (isKnownToClient(request.headers['if-none-match'], digest)) return reply.code(304).send();
      const range = isRangeCurrent(headerOf(request, 'if-range'), digest) ? request.headers.range : undefined;
      const selection = selectRange(range, blob.size);
      if (selection.kind === 'unsatisfiable') {
        reply.header('Content-Range', `bytes */${blob.size}`);
        throw new AgentError('RANGE_UNSATISFIABLE', `The blob has ${blob.size} bytes.`);
      }
      const { start, end } = selection.kind === 'part' ? selection : { start: 0, end: blob.size };
      reply.header('Content-Type', 'application/octet-stream').header('Content-Length', end - start);
      if (selection.kind === 'part') {
        reply.code(206).header('Content-Range', `bytes ${start}-${end - 1}/${blob.size}`);
      }
      const body = await begun(blob.read(start, end, signal), HEADERS_WITHIN);
      // Fastify would pipe a stream, and destroy the socket where it fails: a reset, which no client resumes.
      reply.hijack();
      reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
      const outcome = await sendBody(reply.raw, body, end - start, init.clientStallTimeout);
      const about = { digest, repository: repositoryText(repository) };
      if (outcome.kind === 'failed') logger.warn({ ...about, ...briefly(outcome.error) }, 'body ended short');
      if (outcome.kind === 'stalled') logger.info(about, 'client stopped reading and was let go');
      return reply;
    } finally {
      blob.close();
    }
  }
}

function setBlobHeaders(reply: FastifyReply, digest: Digest): void {
  reply.header('Docker-Content-Digest', digest).header('ETag', etagOf(digest)).header('Accept-Ranges', 'bytes');
}

function acceptOf(request: FastifyRequest): readonly string[] {
  // Node joins several Accept headers into one, with commas; clients send one for each media type they know.
  const joined = request.headers.accept ?? '';
  return joined
    .split(',')
    .map((type) => type.trim())
    .filter((type) => type !== '');
}

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
