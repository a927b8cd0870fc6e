import type { Digest } from '../../protocol/digest.ts';
import { parseRecord } from '../oci/json.ts';
import { type Descriptor, descriptorIn, MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import type { InspectedBlob, Inspection } from './ports.ts';

/** An index of indexes is rare, deeper is nonsense. */
const MAX_DEPTH = 4;

/** Blobs of one image; a manifest of 4 MiB could name some more. */
const MAX_BLOBS = 20_000;

/** Something that an image is made of. */
export interface Part {
  readonly digest: Digest;
  /** Bytes, as the manifest says or as it is held. */
  readonly size: number;
  /** undefined where it is not held. */
  readonly held: InspectedBlob | undefined;
  /** `platform`: a manifest that an index names. */
  readonly kind: 'root' | 'platform' | 'blob';
}

/**
 * What an image is made of, as far as its manifests are held, each part once: the manifest; of an index those of the
 * platforms; config and layers of those that are held. What a manifest refers to as its subject is another image. What
 * is still to be fetched, for the platforms that are wanted, walks oci/image-parts.ts.
 */
export async function partsOf(inspection: Inspection, root: Digest, signal: AbortSignal): Promise<Part[]> {
  const parts = new Map<Digest, Part>();
  const add = ({ digest, size }: Descriptor, kind: Part['kind']): Part | undefined => {
    if (parts.has(digest) || parts.size >= MAX_BLOBS) return undefined;
    const held = inspection.blob(digest);
    const part = { digest, size: held?.size ?? size, held, kind };
    parts.set(digest, part);
    return part;
  };
  const walk = async ({ digest, held }: Part, depth: number): Promise<void> => {
    if (held === undefined || depth > MAX_DEPTH) return;
    const bytes = await inspection.bytes(digest, MAX_MANIFEST_SIZE, signal);
    const { platforms, blobs } = bytes === undefined ? { platforms: [], blobs: [] } : namedBy(bytes);
    for (const blob of blobs) add(blob, 'blob');
    for (const platform of platforms) {
      const part = add(platform, 'platform');
      if (part !== undefined) await walk(part, depth + 1);
    }
  };
  await walk(add({ digest: root, size: 0 }, 'root')!, 1);
  return [...parts.values()];
}

/** What a manifest or index is made of. What is not well-formed is passed over. */
export function namedBy(manifest: Uint8Array): { platforms: Descriptor[]; blobs: Descriptor[] } {
  const { manifests, config, layers, blobs } = parseRecord(manifest) ?? {};
  return {
    platforms: [manifests].flat().flatMap(descriptorIn),
    blobs: [config, layers, blobs].flat().flatMap(descriptorIn),
  };
}
