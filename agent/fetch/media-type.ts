/** What a manifest is when nothing says otherwise. */
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/** A media type, as RFC 6838 spells them: it goes into a header. */
const MEDIA_TYPE = /^[a-zA-Z0-9][\w!#$&^.+-]{0,126}\/[a-zA-Z0-9][\w!#$&^.+-]{0,126}$/;

/**
 * The media type of a verified manifest that came without one, from a peer: its own `mediaType`, else what its
 * fields make it (OCI image spec, "Image Manifest" and "Image Index"). Nothing of it is a peer's word.
 * @returns undefined where the bytes are no manifest
 */
export function mediaTypeOf(manifest: Uint8Array): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(manifest.buffer, manifest.byteOffset, manifest.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { mediaType, manifests, layers, config } = parsed as Record<string, unknown>;
  if (typeof mediaType === 'string' && MEDIA_TYPE.test(mediaType) && !mediaType.endsWith('\n')) return mediaType;
  if (Array.isArray(manifests)) return OCI_INDEX;
  if (Array.isArray(layers) || config !== undefined) return OCI_MANIFEST;
  return undefined;
}
