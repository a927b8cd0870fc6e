import type { Digest } from '../../protocol/digest.ts';
import { bufferContent, type Content, digestOf, generatedContent } from './content.ts';

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

export interface ImageSpec {
  /** @default 'latest' */
  readonly tag?: string;
  /** Size of each layer. Bytes. */
  readonly layers: readonly number[];
  /** Other seeds give other bytes. @default 'layerlan' */
  readonly seed?: string;
  /** Puts the manifest behind an index, which then has the tag. @default false */
  readonly index?: boolean;
}

export interface BlobDescriptor {
  readonly digest: Digest;
  readonly size: number;
}

/** A manifest or index as it is served. */
export interface ServedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export interface GeneratedImage {
  readonly tag: string;
  readonly manifest: ServedManifest;
  readonly index: ServedManifest | undefined;
  readonly config: BlobDescriptor;
  readonly layers: readonly BlobDescriptor[];
  /** Config and layers. */
  readonly blobs: ReadonlyMap<Digest, Content>;
}

/** An OCI image whose every byte follows from `spec`. Its layers are noise, not tar: no runtime could unpack it. */
export function generateImage(spec: ImageSpec): GeneratedImage {
  const { tag = 'latest', seed = 'layerlan' } = spec;
  const blobs = new Map<Digest, Content>();
  const keep = (content: Content): BlobDescriptor => {
    const digest = digestOf(content);
    blobs.set(digest, content);
    return { digest, size: content.size };
  };
  const layers = spec.layers.map((size, index) => keep(generatedContent(`${seed}/${index}`, size)));
  const config = keep(
    json({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    }),
  );
  const manifest = served(MANIFEST_TYPE, {
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer })),
  });
  const platform = { architecture: 'amd64', os: 'linux' };
  const index = spec.index
    ? served(INDEX_TYPE, {
        manifests: [{ mediaType: MANIFEST_TYPE, digest: manifest.digest, size: manifest.bytes.length, platform }],
      })
    : undefined;
  return { tag, manifest, index, config, layers, blobs };
}

function served(mediaType: string, body: Record<string, unknown>): ServedManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...body }));
  return { digest: digestOf(bufferContent(bytes)), mediaType, bytes };
}

function json(value: unknown): Content {
  return bufferContent(Buffer.from(JSON.stringify(value)));
}
