import { MANIFEST_MEDIA_TYPES } from '../../oci/manifest.ts';
import type { TagRecord } from './ports.ts';

/** Longer than any client's; what is longer is not worth a place in the records. Characters. */
const MAX_LENGTH = 2048;

const ANY = '*/*';

/**
 * What a client accepts, so that two that accept the same are seen to: each range once, sorted, in lower case. Who does
 * not care is taken to accept every manifest we know, which is what upstream is then asked for.
 * @returns undefined where it is too long to be remembered
 */
export function acceptText(accept: readonly string[]): string | undefined {
  const ranges = accept
    .join(',')
    .split(',')
    .map((range) => range.replaceAll(/\s/g, '').toLowerCase())
    .filter((range) => range !== '');
  const isAnything = ranges.every((range) => typeOf(range) === ANY);
  const text = [...new Set(isAnything ? [...MANIFEST_MEDIA_TYPES, ANY] : ranges)].sort().join(',');
  return text.length <= MAX_LENGTH ? text : undefined;
}

/**
 * Whether `record` is what upstream would tell a client that accepts `wanted`: it must take what the record is, and
 * accept nothing that was not offered to the registry then. Who accepts an index as well may be given the index of which
 * the record is but one platform.
 */
export function isAnswerTo(record: Pick<TagRecord, 'accept' | 'mediaType'>, wanted: string): boolean {
  if (!isAccepted(record.mediaType, wanted)) return false;
  const offered = record.accept.split(',');
  const isAnyOffered = isAnything(offered);
  return wanted.split(',').every((range) => offered.includes(range) || (isAnyOffered && !range.includes(';')));
}

/**
 * Whether a registry that was offered these was offered all that it may have. What is in none of the types of today is
 * never converted into one of them. With preferences in it, "anything" is not all the same.
 */
function isAnything(offered: readonly string[]): boolean {
  if (offered.some((range) => range.includes(';'))) return false;
  return offered.includes(ANY) || MANIFEST_MEDIA_TYPES.every((type) => offered.includes(type));
}

/** Whether a client that accepts `wanted` takes this media type: the range that says most of it counts (RFC 9110, 12.5.1). */
export function isAccepted(mediaType: string, wanted: string): boolean {
  const type = mediaType.toLowerCase();
  const ranges = wanted.split(',');
  for (const wider of [type, `${type.split('/')[0]}/*`, ANY]) {
    const fitting = ranges.filter((range) => typeOf(range) === wider);
    if (fitting.length > 0) return fitting.some((range) => !/;q=0(?:\.0*)?(?:;|$)/.test(range));
  }
  return false;
}

function typeOf(range: string): string {
  return range.split(';')[0] ?? '';
}
