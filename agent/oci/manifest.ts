import { isBlobSize } from '../../protocol/chunks.ts';
import { type Digest, isDigest } from '../../protocol/digest.ts';
import { isRecord, parseRecord } from './json.ts';

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
 * The digests of what a registry must have had in the repository to take this manifest in: config, layers, manifests.
 * Not a layer with URLs of its own, nor a subject: those it takes on the manifest's word (OCI image spec, "Manifest").
 */
export function vouchedBy(manifest: Uint8Array): Digest[] {
  const parsed = parseRecord(manifest);
  const candidates = [parsed?.config, parsed?.layers, parsed?.manifests].flat();
  return candidates.flatMap((candidate) => {
    if (!isRecord(candidate) || candidate.urls !== undefined) return [];
    const { digest } = candidate;
    return typeof digest === 'string' && isDigest(digest) ? [digest] : [];
  });
}

/**
 * Every descriptor in a manifest or index: config, layers, manifests, subject, blobs. What is not a well-formed
 * descriptor is passed over: the manifest is served as it is, whatever it holds.
 */
export function descriptorsOf(manifest: Uint8Array): Descriptor[] {
  const parsed = parseRecord(manifest);
  if (parsed === undefined) return [];
  const candidates = [parsed.config, parsed.subject, parsed.layers, parsed.manifests, parsed.blobs].flat();
  return candidates.flatMap(descriptorIn);
}

/** A descriptor in somebody's JSON; none where the value is not a well-formed one. For `flatMap`. */
export function descriptorIn(value: unknown): Descriptor[] {
  if (!isRecord(value)) return [];
  const { digest, size } = value;
  return typeof digest === 'string' && isDigest(digest) && isBlobSize(size) ? [{ digest, size }] : [];
}
