import type { Digest } from '../../protocol/digest.ts';

/** The strong validator of content that is named by its digest. */
export function etagOf(digest: Digest): string {
  return `"${digest}"`;
}

/** Whether an If-None-Match header says that the client has this content (RFC 9110, 13.1.2: a weak comparison). */
export function isKnownToClient(ifNoneMatch: string | undefined, digest: Digest): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etagOf(digest));
}

/** Whether a Range may be honoured under this If-Range (RFC 9110, 13.1.5: a strong comparison; a date never matches). */
export function isRangeCurrent(ifRange: string | undefined, digest: Digest): boolean {
  return ifRange === undefined || ifRange.trim() === etagOf(digest);
}
