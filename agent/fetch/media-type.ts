import { parseRecord } from '../oci/json.ts';

/** What a manifest is when nothing says otherwise. */
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/** A media type, as RFC 6838 spells them: it goes into a header. */
const MEDIA_TYPE = /^[a-zA-Z0-9][\w!#$&^.+-]{0,126}\/[a-zA-Z0-9][\w!#$&^.+-]{0,126}$/;

/** Of what no media type is known (RFC 9110 §8.3). */
export const UNKNOWN_TYPE = 'application/octet-stream';

/** Types that servers give to whatever they do not know: they say nothing of a manifest. */
const GENERIC = ['application/json', UNKNOWN_TYPE, 'application/x-www-form-urlencoded'];

/** Whether a registry's word for a manifest's media type says anything: a web server's default does not. */
export function isManifestType(told: string): boolean {
  const type = told.toLowerCase();
  return type.startsWith('application/') && isMediaType(type) && !GENERIC.includes(type);
}

/**
 * The media type of a manifest: its own `mediaType`, else what the registry that sent it told, else what its fields make
 * it (OCI image spec, "Image Manifest" and "Image Index"). Its own word comes first since the digest speaks for it: any
 * registry may name any digest, and what one says of it would be told to who asks another.
 * @param told undefined where it came from a peer, whose word counts for nothing
 * @returns undefined where the bytes are no manifest
 */
export function mediaTypeOf(manifest: Uint8Array, told?: string): string | undefined {
  const parsed = parseRecord(manifest);
  if (parsed === undefined) return undefined;
  const { mediaType, manifests, layers, config } = parsed;
  if (typeof mediaType === 'string' && isMediaType(mediaType)) return mediaType;
  if (told !== undefined && isManifestType(told)) return told;
  if (Array.isArray(manifests)) return OCI_INDEX;
  if (Array.isArray(layers) || config !== undefined) return OCI_MANIFEST;
  return undefined;
}

function isMediaType(text: string): boolean {
  return MEDIA_TYPE.test(text) && !text.endsWith('\n');
}
