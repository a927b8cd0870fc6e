import type { FastifyReply, FastifyRequest } from 'fastify';
import { AgentError } from '../errors.ts';
import { etagOf, isKnownToClient } from './conditional.ts';
import type { ServeComponents, ServeInit } from './init.ts';
import { parseRoute, type Route } from './route.ts';
import { clientSignal } from './send.ts';
import { describeBlob, serveBlob } from './serve-blob.ts';
import { serveReferrers, serveTags } from './serve-listing.ts';
import { tagWarning } from './warning.ts';

type ManifestRoute = Extract<Route, { kind: 'manifest' }>;

/** Answers everything under `/v2/` (OCI distribution spec, "Pull" and "Content Discovery"). */
export function createServe(components: ServeComponents, init: ServeInit) {
  const { content } = components;

  return async function serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
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
    if (route.kind === 'tags') return await serveTags(content, route, request, reply, signal);
    if (route.kind === 'referrers') return await serveReferrers(content, route, request, reply, signal);
    if (request.method === 'HEAD') return await describeBlob(components, route, request, reply, signal);
    return await serveBlob(components, init, route, request, reply, signal);
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
    const warning = tagWarning(manifest);
    if (warning !== undefined) reply.header('Warning', warning);
    if (isKnownToClient(request.headers['if-none-match'], manifest.digest)) return reply.code(304).send();
    const size = 'bytes' in manifest ? manifest.bytes.length : manifest.size;
    reply.header('Content-Type', manifest.mediaType).header('Content-Length', size);
    return 'bytes' in manifest ? reply.send(bufferOf(manifest.bytes)) : reply.send();
  }
}

function acceptOf(request: FastifyRequest): readonly string[] {
  // Node joins several Accept headers into one, with commas; clients send one for each media type they know.
  const joined = request.headers.accept ?? '';
  return joined
    .split(',')
    .map((type) => type.trim())
    .filter((type) => type !== '');
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
