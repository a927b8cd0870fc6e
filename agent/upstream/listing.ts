import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { isTag, type Repository } from '../oci/reference.ts';
import type { Resource } from './endpoint.ts';
import type { Answer, Ask } from './question.ts';
import { readWhole } from './stall.ts';

/** The longest page of a list that is read, as long as a manifest. Bytes. */
const MAX_PAGE_SIZE = 4 * 1024 * 1024;

/** No registry needs a longer query to find its next page. Characters. */
const MAX_QUERY_LENGTH = 1024;

/** Nor a longer header to say so. Characters: what is matched below costs the square of it, where somebody means ill. */
const MAX_LINK_LENGTH = 4096;

/** The next page, among what a Link header may name (RFC 8288, 3). */
const NEXT = /<([^<>]*)>[ \t]*;(?:[^,"]|"[^"]*")*\brel="?next\b/i;

/** A page of a repository's tags. */
export interface TagsPage {
  readonly tags: readonly string[];
  /** The query of the next page; undefined after the last. */
  readonly next: string | undefined;
}

/** A page of what refers to a manifest. */
export interface ReferrersPage {
  readonly index: Readonly<Record<string, unknown>>;
  /** Bytes. */
  readonly size: number;
  readonly isFiltered: boolean;
  readonly next: string | undefined;
}

/**
 * Tags of a repository, by a query (OCI distribution spec, "Listing Tags"). What is no tag is passed over.
 * @throws as {@link Ask}, and AgentError UPSTREAM_FAILED where what comes is no list
 */
export async function listTags(
  ask: Ask,
  repository: Repository,
  query: string,
  stallTimeout: number,
  received: (bytes: number) => void,
  signal: AbortSignal,
): Promise<TagsPage> {
  const resource = { kind: 'tags', reference: 'list', query } as const;
  const { value, answer } = await getJson(ask, repository, resource, stallTimeout, received, signal);
  // Registries written in Go send null for an empty list.
  const tags = value.tags ?? [];
  if (!Array.isArray(tags)) throw new AgentError('UPSTREAM_FAILED', `${answer.host} sent something else than tags`);
  return { tags: tags.filter((tag) => typeof tag === 'string' && isTag(tag)), next: nextQuery(answer) };
}

/**
 * What refers to a manifest (OCI distribution spec, "Listing Referrers").
 * @throws as {@link Ask}, and AgentError UPSTREAM_FAILED where what comes is no image index
 */
export async function listReferrers(
  ask: Ask,
  repository: Repository,
  { digest, query }: { digest: Digest; query: string },
  stallTimeout: number,
  received: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ReferrersPage> {
  const resource = { kind: 'referrers', reference: digest, query } as const;
  const { value, size, answer } = await getJson(ask, repository, resource, stallTimeout, received, signal);
  const filters = answer.headers['oci-filters-applied']?.toString().split(',') ?? [];
  const isFiltered = filters.some((filter) => filter.trim() === 'artifactType');
  return { index: value, size, isFiltered, next: nextQuery(answer) };
}

async function getJson(
  ask: Ask,
  repository: Repository,
  resource: Resource,
  stallTimeout: number,
  received: (bytes: number) => void,
  signal: AbortSignal,
): Promise<{ value: Readonly<Record<string, unknown>>; size: number; answer: Answer }> {
  const headers = {
    accept: 'application/vnd.oci.image.index.v1+json, application/json',
    'accept-encoding': 'identity',
  };
  const answer = await ask({ repository, resource, method: 'GET', headers, lane: 'short' }, signal);
  const body = await readWhole(answer.body, MAX_PAGE_SIZE, stallTimeout, answer.host, received);
  const value = answer.statusCode === 200 ? parsed(body) : undefined;
  if (value === undefined) {
    throw new AgentError('UPSTREAM_FAILED', `${answer.host} sent something else than ${resource.kind}`);
  }
  return { value, size: body.length, answer };
}

function parsed(body: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Of the address in a Link only the query is used: the rest is where we asked before, and nowhere else do we go. */
function nextQuery({ headers, host }: Answer): string | undefined {
  const link = headers.link?.toString() ?? '';
  const target = link.length > MAX_LINK_LENGTH ? undefined : NEXT.exec(link)?.[1];
  if (target === undefined) return undefined;
  const query = URL.parse(target, `https://${host}/`)?.search.slice(1);
  return query === '' || query === undefined || query.length > MAX_QUERY_LENGTH ? undefined : query;
}
