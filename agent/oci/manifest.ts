import { isBlobSize } from '../../protocol/chunks.ts';
import { type Digest, isDigest } from '../../protocol/digest.ts';

/** Media types of the OCI image spec and Docker's schema 2 that name a manifest. */
export const MANIFEST_MEDIA_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

/** The largest manifest that registries accept (OCI distribution spec recommends at least this). Bytes. */
export const MAX_MANIFEST_SIZE = 4 * 1024 * 1024;

/** What a verified manifest says of a blob or another manifest. */
export interface Descriptor {
  readonly digest: Digest;
  readonly size: number;
}

/**
 * Every descriptor in a manifest or index: config, layers, manifests, subject, blobs. What is not a well-formed
 * descriptor is passed over: the manifest is served as it is, whatever it holds.
 */
export function descriptorsOf(manifest: Uint8Array): Descriptor[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(manifest.buffer, manifest.byteOffset, manifest.byteLength).toString('utf8'));
  } catch {
    return [];
  }
  if (!isRecord(parsed)) return [];
  const candidates = [parsed.config, parsed.subject, parsed.layers, parsed.manifests, parsed.blobs].flat();
  return candidates.flatMap((candidate) => {
    if (!isRecord(candidate)) return [];
    const { digest, size } = candidate;
    return typeof digest === 'string' && isDigest(digest) && isBlobSize(size) ? [{ digest, size }] : [];
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
