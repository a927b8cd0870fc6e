import { type Digest, parseDigest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import { MANIFEST_MEDIA_TYPES, MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import type { Repository } from '../oci/reference.ts';
import { parseContentLength } from './content-range.ts';
import { discard } from './discard.ts';
import type { Answer, Ask, Question } from './question.ts';
import { readWhole } from './stall.ts';
import { isWebPage, mediaTypeIn, webPage } from './web-page.ts';

/** Another try where a manifest's body broke or stalled, so many times: it is small, and taken from its start. */
const MAX_BREAKS = 2;

/**
 * A further try is not begun after so many stall time-outs: clients wait for headers no longer than 30 s, and are
 * better told than left.
 */
const TRIES_WITHIN = 2;

/** Those of registries are digests in quotes, or shorter. Characters. */
const MAX_ETAG = 256;

/** What a registry that sends no Content-Type is taken to have sent (RFC 9110 §8.3). */
const UNKNOWN_TYPE = 'application/octet-stream';

export interface ManifestHead {
  readonly digest: Digest | undefined;
  readonly mediaType: string;
  readonly size: number | undefined;
  readonly etag?: string;
  /** Whether credentials were used: then it may be for those alone who have them. */
  readonly withCredentials: boolean;
}

export interface ManifestBody {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest | undefined;
  readonly etag?: string;
  /** Whether credentials were used: then it may be for those alone who have them. */
  readonly withCredentials: boolean;
}

/** HEAD of a manifest: Docker Hub does not count it. @throws as {@link Ask} */
export async function headManifest(
  ask: Ask,
  repository: Repository,
  reference: string,
  accept: readonly string[],
  signal: AbortSignal,
): Promise<ManifestHead> {
  const answer = await ask(manifestQuestion('HEAD', repository, reference, accept), signal);
  const length = parseContentLength(answer.headers['content-length']?.toString());
  // No manifest has no bytes: it is what some servers say where they send none.
  const head = { ...described(answer), size: length === 0 ? undefined : length };
  await discard(answer);
  return head;
}

/**
 * GET of a manifest, byte for byte as it was sent; its digest is for the caller to check.
 * @param received told of every piece of body
 * @throws as {@link Ask}, and AgentError UPSTREAM_FAILED where it is longer than {@link MAX_MANIFEST_SIZE}
 */
export async function getManifest(
  ask: Ask,
  repository: Repository,
  reference: string,
  accept: readonly string[],
  stallTimeout: number,
  received: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ManifestBody> {
  const since = performance.now();
  const isLate = (): boolean => performance.now() - since > TRIES_WITHIN * stallTimeout;
  for (let breaks = 0; ; breaks++) {
    const answer = await ask(manifestQuestion('GET', repository, reference, accept), signal);
    try {
      const bytes = await readWhole(answer.body, MAX_MANIFEST_SIZE, stallTimeout, answer.host, received);
      return { ...described(answer), bytes };
    } catch (error) {
      signal.throwIfAborted();
      const isBreak = isAgentError(error, 'UPSTREAM_UNREACHABLE', 'UPSTREAM_STALLED');
      if (!isBreak || breaks >= MAX_BREAKS || isLate()) throw error;
    }
  }
}

function manifestQuestion(
  method: 'GET' | 'HEAD',
  repository: Repository,
  reference: string,
  accept: readonly string[],
): Question {
  const headers = { accept: acceptHeader(accept), 'accept-encoding': 'identity' };
  return { repository, resource: { kind: 'manifest', reference }, method, headers, lane: 'short' };
}

/** What the client accepts; all manifests we know where it does not care, or registries would convert or refuse. */
function acceptHeader(accept: readonly string[]): string {
  const wanted = accept.join(', ');
  const isAny = wanted.split(',').every((one) => ['', '*/*'].includes((one.split(';')[0] ?? '').trim()));
  return isAny ? MANIFEST_MEDIA_TYPES.join(', ') : wanted;
}

function described({ statusCode, headers, host, withCredentials }: Answer): Omit<ManifestBody, 'bytes'> {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (statusCode !== 200 || encoding !== 'identity') {
    throw new AgentError('UPSTREAM_FAILED', `${host} answered ${statusCode} (${encoding}) when asked for a manifest`);
  }
  const digest = headers['docker-content-digest'];
  const mediaType = mediaTypeIn(headers) ?? UNKNOWN_TYPE;
  if (isWebPage(headers) && digest === undefined) throw webPage(host, 'a manifest');
  const etag = headers.etag?.toString();
  // It is kept beside thousands of others: one that is very long is not worth it.
  const validator = etag === undefined || etag.length > MAX_ETAG ? {} : { etag };
  return {
    mediaType,
    digest: typeof digest === 'string' ? parseDigest(digest) : undefined,
    withCredentials,
    ...validator,
  };
}
