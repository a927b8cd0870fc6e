import { type Digest, parseDigest } from '../../protocol/digest.ts';
import type { ErrorCode } from '../errors.ts';
import {
  canonicalRegistry,
  DEFAULT_REGISTRY,
  isRegistry,
  isRepositoryName,
  isTag,
  type Repository,
} from '../oci/reference.ts';

/** What a URL under `/v2/` asks for. `namespace` is the `ns` to echo, where the client sent one. */
export type Route =
  | { readonly kind: 'base' }
  | {
      readonly kind: 'manifest';
      readonly repository: Repository;
      readonly reference: string;
      readonly namespace: string | undefined;
    }
  | {
      readonly kind: 'blob';
      readonly repository: Repository;
      readonly digest: Digest;
      readonly namespace: string | undefined;
    }
  | {
      readonly kind: 'tags';
      readonly repository: Repository;
      /** The repository's name as the client has it. */
      readonly name: string;
      readonly n: number | undefined;
      readonly last: string | undefined;
      readonly namespace: string | undefined;
    }
  | {
      readonly kind: 'referrers';
      readonly repository: Repository;
      readonly digest: Digest;
      readonly artifactType: string | undefined;
      readonly namespace: string | undefined;
    }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string };

/** Above any name, reference and registry that the grammar allows, and any query that clients send. Characters. */
const MAX_URL_LENGTH = 2048;

/** Images of Docker Hub that are named without an owner belong to this one. */
const OFFICIAL_OWNER = 'library';

/**
 * Reads the target of a request as it came on the wire, undecoded (OCI distribution spec, "Endpoints").
 *
 * The path is taken apart from its end, since a repository name may itself hold `manifests` or `blobs`. Every part is
 * checked whole against its grammar, none of which has a percent sign or a dot segment: so there is nothing to decode,
 * and nothing that could climb out of a directory.
 */
export function parseRoute(target: string): Route {
  if (target.length > MAX_URL_LENGTH) return refuse('REQUEST_INVALID', 'The URL is too long.');
  const queryAt = target.indexOf('?');
  const path = queryAt === -1 ? target : target.slice(0, queryAt);
  if (path === '/v2/' || path === '/v2') return { kind: 'base' };
  if (!path.startsWith('/v2/')) return refuse('ROUTE_UNKNOWN', 'No such endpoint.');
  if (path.includes('%')) return refuse('REQUEST_INVALID', 'A path of this API needs no percent-encoding.');

  const segments = path.slice('/v2/'.length).split('/');
  const last = segments.pop() ?? '';
  const noun = segments.pop();
  const kind = kindOf(noun, last);
  if (kind === undefined) return refuse('ROUTE_UNKNOWN', 'No such endpoint.');

  const query = new URLSearchParams(queryAt === -1 ? '' : target.slice(queryAt + 1));
  const namespace = namespaceOf(query);
  if (namespace === null) return refuse('NAME_INVALID', 'The ns parameter is not one registry.');
  const repository = repositoryOf(segments, namespace);
  if (repository === undefined) return refuse('NAME_INVALID', 'The repository name is invalid.');

  if (kind === 'tags') return tagsRoute(repository, segments.join('/'), query, namespace);
  const digest = parseDigest(last);
  if (kind === 'referrers') {
    if (digest === undefined) return refuse('DIGEST_INVALID', 'Referrers are those of a sha256 or sha512 digest.');
    return { kind, repository, digest, artifactType: query.get('artifactType') || undefined, namespace };
  }
  if (kind === 'blob') {
    if (digest === undefined) return refuse('DIGEST_INVALID', 'A blob is named by a sha256 or sha512 digest.');
    return { kind: 'blob', repository, digest, namespace };
  }
  if (digest === undefined && last.includes(':')) {
    return refuse('DIGEST_INVALID', 'The reference is not a sha256 or sha512 digest.');
  }
  if (digest === undefined && !isTag(last)) return refuse('TAG_INVALID', 'The tag is invalid.');
  return { kind: 'manifest', repository, reference: last, namespace };
}

function kindOf(noun: string | undefined, last: string): 'manifest' | 'blob' | 'tags' | 'referrers' | undefined {
  if (noun === 'manifests') return 'manifest';
  if (noun === 'blobs') return 'blob';
  if (noun === 'referrers') return 'referrers';
  return noun === 'tags' && last === 'list' ? 'tags' : undefined;
}

/** More than any repository has: whoever wants more means all. */
const MAX_TAGS = 999_999_999;

function tagsRoute(repository: Repository, name: string, query: URLSearchParams, namespace: string | undefined): Route {
  const n = query.get('n') || undefined;
  if (n !== undefined && !/^[0-9]+$/.test(n)) return refuse('REQUEST_INVALID', 'n is not a number of tags.');
  const last = query.get('last') || undefined;
  return {
    kind: 'tags',
    repository,
    name,
    n: n === undefined ? undefined : Math.min(Number(n), MAX_TAGS),
    last,
    namespace,
  };
}

function refuse(code: ErrorCode, message: string): Route {
  return { kind: 'refused', code, message };
}

/** undefined: none was sent; null: what was sent is no registry, or several. */
function namespaceOf(query: URLSearchParams): string | undefined | null {
  const [namespace, ...others] = query.getAll('ns');
  if (namespace === undefined) return undefined;
  return others.length === 0 && isRegistry(namespace) ? namespace : null;
}

/**
 * Which registry: the one in `ns` (containerd), else the first component where it looks like a host (containers/image
 * and BuildKit put a mirror's path there), else Docker Hub.
 */
function repositoryOf(segments: string[], namespace: string | undefined): Repository | undefined {
  const [first = '', ...rest] = segments;
  const named = namespace === undefined && rest.length > 0 && looksLikeHost(first);
  if (named && !isRegistry(first)) return undefined;
  const registry = canonicalRegistry(namespace ?? (named ? first : DEFAULT_REGISTRY));
  const path = (named ? rest : segments).join('/');
  const name = registry === DEFAULT_REGISTRY && !path.includes('/') ? `${OFFICIAL_OWNER}/${path}` : path;
  return isRepositoryName(name) ? { registry, name } : undefined;
}

/** Docker's rule for the first component of a reference. */
function looksLikeHost(component: string): boolean {
  return component === 'localhost' || component.includes('.') || component.includes(':');
}
