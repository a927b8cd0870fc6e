import type { Digest } from '../../protocol/digest.ts';
import type { ServedManifest } from './upstream-image.ts';

/**
 * How a registry lists its tags. `paged`: as the spec says; `all`: it ignores `n` and `last`; `tokens`: in an order of its
 * own, a few at a time, and the next page is found by a token.
 */
export type TagsStyle = 'paged' | 'all' | 'tokens';

/** How many a registry that pages by tokens gives at once, whatever it is asked for. */
const TOKEN_PAGE = 3;

/** What a registry has of a manifest that refers to another. */
interface Referring {
  readonly subject?: { readonly digest?: string };
  readonly artifactType?: string;
  readonly config?: { readonly mediaType?: string };
  readonly annotations?: Record<string, string>;
}

export interface Listed {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers `GET /v2/<repository>/tags/list`. */
export function listTags(
  repository: string,
  tags: readonly string[],
  query: URLSearchParams,
  style: TagsStyle,
): Listed {
  const answer = (part: readonly string[], next?: URLSearchParams): Listed => ({
    body: JSON.stringify({ name: repository, tags: part }),
    headers: next === undefined ? {} : { link: `</v2/${repository}/tags/list?${next}>; rel="next"` },
  });
  if (style === 'all') return answer(tags);
  if (style === 'tokens') {
    const from = Number(query.get('token') ?? 0);
    const next = from + TOKEN_PAGE;
    return answer(
      tags.slice(from, next),
      next < tags.length ? new URLSearchParams({ token: String(next) }) : undefined,
    );
  }
  const last = query.get('last') ?? '';
  const after = [...tags].sort().filter((tag) => tag > last);
  const n = Number(query.get('n') ?? after.length);
  const part = after.slice(0, n);
  const isMore = n > 0 && part.length < after.length;
  return answer(part, isMore ? new URLSearchParams({ n: String(n), last: part.at(-1) ?? '' }) : undefined);
}

/** Answers `GET /v2/<repository>/referrers/<digest>`. */
export function listReferrers(manifests: Iterable<ServedManifest>, digest: Digest, query: URLSearchParams): Listed {
  const wanted = query.get('artifactType');
  const found = new Map<Digest, Record<string, unknown>>();
  for (const manifest of manifests) {
    const { subject, artifactType, config, annotations } = JSON.parse(manifest.bytes.toString()) as Referring;
    const type = artifactType ?? config?.mediaType;
    if (subject?.digest !== digest || (wanted !== null && type !== wanted)) continue;
    const { mediaType, bytes } = manifest;
    found.set(manifest.digest, {
      mediaType,
      digest: manifest.digest,
      size: bytes.length,
      artifactType: type,
      annotations,
    });
  }
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  return {
    body: JSON.stringify({ schemaVersion: 2, mediaType, manifests: [...found.values()] }),
    headers: { 'content-type': mediaType, ...(wanted !== null && { 'oci-filters-applied': 'artifactType' }) },
  };
}
