import { algorithmOf, type Digest, hexOf } from '../../../protocol/digest.ts';
import { AgentError, isAgentError } from '../../errors.ts';
import { isRecord, parseRecord } from '../../oci/json.ts';
import { MAX_MANIFEST_SIZE } from '../../oci/manifest.ts';
import type { Repository } from '../../oci/reference.ts';
import type { Upstream } from '../ports.ts';

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

/** Pages of one list that are read. */
const MAX_PAGES = 100;

/** Hex digits of a digest in the tag that stands for its referrers (OCI distribution spec, "Referrers Tag Schema"). */
const TAG_HEX_LENGTH = 64;

/** What refers to which manifest, of which type (OCI distribution spec, "Listing Referrers"). */
export interface ReferrersRequest {
  readonly repository: Repository;
  readonly digest: Digest;
  /** undefined: of every type. */
  readonly artifactType: string | undefined;
}

/** An image index with a descriptor of each referrer. */
export interface Referrers {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/**
 * What refers to a manifest, all pages in one. A registry that does not know of referrers may have them under a tag, as
 * clients put them there; what has neither has no referrers. What upstream did not filter by type is filtered here.
 * @throws AgentError UPSTREAM_…
 */
export async function referrersOf(
  upstream: Upstream,
  request: ReferrersRequest,
  signal: AbortSignal,
): Promise<Referrers> {
  try {
    return await listed(upstream, request, signal);
  } catch (error) {
    if (!isAgentError(error, 'MANIFEST_UNKNOWN')) throw error;
  }
  try {
    return await tagged(upstream, request, signal);
  } catch (error) {
    if (!isAgentError(error, 'MANIFEST_UNKNOWN')) throw error;
  }
  return indexOf({}, []);
}

/** The tag under which clients keep what refers to `digest` where the registry does not know of referrers. */
export function referrersTag(digest: Digest): string {
  return `${algorithmOf(digest)}-${hexOf(digest).slice(0, TAG_HEX_LENGTH)}`;
}

async function listed(
  upstream: Upstream,
  { repository, digest, artifactType }: ReferrersRequest,
  signal: AbortSignal,
): Promise<Referrers> {
  const query = artifactType === undefined ? '' : new URLSearchParams({ artifactType }).toString();
  let first: Readonly<Record<string, unknown>> | undefined;
  const pages: (readonly unknown[])[] = [];
  let next: string | undefined = query;
  let size = 0;
  while (next !== undefined) {
    if (pages.length >= MAX_PAGES || size > MAX_MANIFEST_SIZE) {
      throw new AgentError('UPSTREAM_FAILED', `upstream lists more referrers of ${digest} than an index may hold`);
    }
    const page = await upstream.listReferrers(repository, digest, next, signal);
    first ??= page.index;
    pages.push(manifestsOf(page.index, page.isFiltered ? undefined : artifactType));
    size += page.size;
    next = page.next;
  }
  return indexOf(first ?? {}, pages.flat());
}

async function tagged(
  upstream: Upstream,
  { repository, digest, artifactType }: ReferrersRequest,
  signal: AbortSignal,
): Promise<Referrers> {
  const { bytes } = await upstream.getManifest(repository, referrersTag(digest), [INDEX_TYPE], signal);
  // What is no index has no referrers: any image may be tagged like that.
  const index = parseRecord(bytes) ?? {};
  return indexOf(index, manifestsOf(index, artifactType));
}

function manifestsOf(index: Readonly<Record<string, unknown>>, artifactType: string | undefined): unknown[] {
  const manifests = Array.isArray(index.manifests) ? index.manifests : [];
  return artifactType === undefined
    ? manifests
    : manifests.filter((descriptor) => isRecord(descriptor) && descriptor.artifactType === artifactType);
}

function indexOf(like: Readonly<Record<string, unknown>>, manifests: readonly unknown[]): Referrers {
  const index = { ...like, schemaVersion: 2, mediaType: INDEX_TYPE, manifests };
  return { mediaType: INDEX_TYPE, bytes: Buffer.from(JSON.stringify(index)) };
}
