import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, briefly } from '../errors.ts';
import { repositoryText } from '../oci/reference.ts';
import { begun } from './begun.ts';
import { etagOf, isKnownToClient, isRangeCurrent } from './conditional.ts';
import type { ServeComponents, ServeInit } from './init.ts';
import { multipartBody, multipartOf } from './multipart.ts';
import type { OpenBlob } from './ports.ts';
import { type Part, type Selection, selectRange } from './range.ts';
import type { Route } from './route.ts';
import { sendBody } from './send.ts';

/**
 * How long headers wait for the first byte of a body, so that what fails at once has a status of its own. Clients give
 * up on headers after 30 s. Milliseconds.
 */
const HEADERS_WITHIN = 5_000;

const MEDIA_TYPE = 'application/octet-stream';

type BlobRoute = Extract<Route, { kind: 'blob' }>;

/** What is sent of a blob: with which headers, and how many bytes. */
interface Sending {
  readonly status: 200 | 206;
  readonly headers: Readonly<Record<string, string>>;
  readonly length: number;
  body(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** HEAD of a blob. A Range means nothing on HEAD (RFC 9110, 14.2). */
export async function describeBlob(
  { content }: ServeComponents,
  { repository, digest }: BlobRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<FastifyReply> {
  const { size } = await content.headBlob({ repository, digest }, signal);
  setBlobHeaders(reply, digest);
  if (isKnownToClient(request.headers['if-none-match'], digest)) return reply.code(304).send();
  return reply.header('Content-Type', MEDIA_TYPE).header('Content-Length', size).send();
}

/** GET of a blob (OCI distribution spec, "Pulling blobs"), whole or in the parts that were asked for. */
export async function serveBlob(
  { content, logger }: ServeComponents,
  init: ServeInit,
  { repository, digest }: BlobRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<FastifyReply> {
  const blob = await content.openBlob({ repository, digest }, signal);
  try {
    setBlobHeaders(reply, digest);
    if (isKnownToClient(request.headers['if-none-match'], digest)) return reply.code(304).send();
    const isCurrent = isRangeCurrent(request.headers['if-range']?.toString(), digest);
    const sending = sendingOf(blob, selectRange(isCurrent ? request.headers.range : undefined, blob.size));
    if (sending === undefined) {
      reply.header('Content-Range', `bytes */${blob.size}`);
      throw new AgentError('RANGE_UNSATISFIABLE', `The blob has ${blob.size} bytes.`);
    }
    const { status, headers, length } = sending;
    reply.code(status).headers({ ...headers, 'Content-Length': length });
    const body = await begun(sending.body(signal), HEADERS_WITHIN);
    // Fastify would pipe a stream, and destroy the socket where it fails: a reset, which no client resumes.
    reply.hijack();
    reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
    const outcome = await sendBody(reply.raw, body, length, init.clientStallTimeout);
    const about = { digest, repository: repositoryText(repository) };
    if (outcome.kind === 'failed') logger.warn({ ...about, ...briefly(outcome.error) }, 'body ended short');
    if (outcome.kind === 'stalled') logger.info(about, 'client stopped reading and was let go');
    return reply;
  } finally {
    blob.close();
  }
}

/** undefined where nothing of the blob was asked for. */
function sendingOf(blob: OpenBlob, selection: Selection): Sending | undefined {
  const { size } = blob;
  const read = ({ start, end, isOpenEnded }: Part, signal: AbortSignal) => blob.read(start, end, signal, !isOpenEnded);
  switch (selection.kind) {
    case 'unsatisfiable':
      return undefined;
    case 'whole': {
      const body = (signal: AbortSignal) => blob.read(0, size, signal);
      return { status: 200, headers: { 'Content-Type': MEDIA_TYPE }, length: size, body };
    }
    case 'part': {
      const { start, end } = selection;
      const headers = { 'Content-Type': MEDIA_TYPE, 'Content-Range': `bytes ${start}-${end - 1}/${size}` };
      return { status: 206, headers, length: end - start, body: (signal) => read(selection, signal) };
    }
    case 'parts': {
      const multipart = multipartOf(selection.parts, size, MEDIA_TYPE);
      const body = (signal: AbortSignal) => multipartBody(multipart, (part) => read(part, signal));
      return { status: 206, headers: { 'Content-Type': multipart.contentType }, length: multipart.length, body };
    }
  }
}

function setBlobHeaders(reply: FastifyReply, digest: Digest): void {
  reply.header('Docker-Content-Digest', digest).header('ETag', etagOf(digest)).header('Accept-Ranges', 'bytes');
}
