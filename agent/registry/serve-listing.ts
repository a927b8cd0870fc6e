import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Content } from './ports.ts';
import type { Route } from './route.ts';

type TagsRoute = Extract<Route, { kind: 'tags' }>;
type ReferrersRoute = Extract<Route, { kind: 'referrers' }>;

/** A repository's tags, and in a Link where they go on (OCI distribution spec, "Listing Tags"). */
export async function serveTags(
  content: Content,
  route: TagsRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<FastifyReply> {
  const { tags, hasMore } = await content.listTags(route, signal);
  const last = tags.at(-1);
  if (hasMore && last !== undefined) reply.header('Link', `<${nextPage(route, last)}>; rel="next"`);
  return sendWhole(request, reply, 'application/json', Buffer.from(JSON.stringify({ name: route.name, tags })));
}

/** What refers to a manifest (OCI distribution spec, "Listing Referrers"). */
export async function serveReferrers(
  content: Content,
  route: ReferrersRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<FastifyReply> {
  const { mediaType, bytes } = await content.listReferrers(route, signal);
  if (route.artifactType !== undefined) reply.header('OCI-Filters-Applied', 'artifactType');
  return sendWhole(request, reply, mediaType, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** A path: what the client calls this agent's host, it knows best. */
function nextPage({ name, n, namespace }: TagsRoute, last: string): string {
  const query = new URLSearchParams();
  if (namespace !== undefined) query.set('ns', namespace);
  if (n !== undefined) query.set('n', String(n));
  query.set('last', last);
  return `/v2/${name}/tags/list?${query}`;
}

function sendWhole(request: FastifyRequest, reply: FastifyReply, mediaType: string, body: Buffer): FastifyReply {
  reply.header('Content-Type', mediaType).header('Content-Length', body.length);
  return request.method === 'HEAD' ? reply.send() : reply.send(body);
}
