import type { TagRecord } from '../../../../agent/fetch/tags/ports.ts';

/** A record of a tag; all that is not given is made up. */
export function tagRecord(over: Partial<TagRecord> = {}): TagRecord {
  return {
    accept: '*/*',
    digest: `sha256:${'a'.repeat(64)}` as TagRecord['digest'],
    mediaType: 'application/vnd.oci.image.index.v1+json',
    size: 1234,
    etag: null,
    checkedAt: 1_763_771_234_567,
    ...over,
  };
}
