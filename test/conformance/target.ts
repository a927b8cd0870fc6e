import { hash, randomBytes } from 'node:crypto';
import { type Algorithm, type Digest, toDigest } from '../../protocol/digest.ts';
import type { Fault } from '../support/upstream-faults.ts';

/** A registry that the suite is run against, and how content gets into it. */
export interface Target {
  readonly name: 'layerlan' | 'distribution';
  readonly host: string;
  readonly port: number;
  /** Puts a blob where the target has it, or gets it from. */
  addBlob(repository: string, bytes: Buffer, digest: Digest): Promise<void>;
  /** The same for a manifest; under a tag too, where one is given. */
  addManifest(repository: string, manifest: AddedManifest, tag?: string): Promise<void>;
  /**
   * Has what is behind the target misbehave, where its fault fits. @returns what ends that
   * @throws Error where nothing is behind it
   */
  misbehave(fault: Fault): () => void;
  close(): Promise<void>;
}

export interface AddedManifest {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly digest: Digest;
}

/** A blob that is there. */
export interface AddedBlob {
  readonly repository: string;
  readonly digest: Digest;
  readonly bytes: Buffer;
  /** `/v2/…` */
  readonly path: string;
}

export const ALGORITHMS = ['sha256', 'sha512'] as const;

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/**
 * The name of a registry, as first component of a repository, that knows of no referrers. The target reaches it, or has
 * repositories of that name.
 */
export const OLD_REGISTRY = 'old.example';

/** A repository that a mirror is told not to give. */
export const DENIED_REPOSITORY = 'library/denied';

let repositories = 0;

/** A repository that nobody has used. */
export function newRepository(): string {
  repositories++;
  return `library/case-${repositories}`;
}

export function digestOf(algorithm: Algorithm, bytes: Buffer): Digest {
  return toDigest(algorithm, hash(algorithm, bytes, 'buffer'));
}

/** A digest that nothing has. */
export function unknownDigest(algorithm: Algorithm): Digest {
  return digestOf(algorithm, randomBytes(32));
}

/** A blob that nobody has asked for yet. */
export async function newBlob(
  target: Target,
  algorithm: Algorithm,
  size: number,
  repository: string = newRepository(),
): Promise<AddedBlob> {
  const bytes = randomBytes(size);
  const digest = digestOf(algorithm, bytes);
  await target.addBlob(repository, bytes, digest);
  return { repository, digest, bytes, path: `/v2/${repository}/blobs/${digest}` };
}

/**
 * A manifest that nobody has asked for yet, with a config of its own in the repository.
 * @param over laid over its fields
 * @param spell how its JSON is written
 */
export async function newManifest(
  target: Target,
  algorithm: Algorithm,
  {
    repository = newRepository(),
    tag,
    over = {},
    spell = JSON.stringify,
    contentType,
  }: {
    repository?: string;
    tag?: string;
    over?: Record<string, unknown>;
    spell?: (value: unknown) => string;
    contentType?: string;
  } = {},
): Promise<AddedManifest & { repository: string; config: AddedBlob }> {
  const config = await newBlob(target, 'sha256', 64, repository);
  const mediaType = contentType ?? OCI_MANIFEST;
  const fields = {
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: config.digest,
      size: config.bytes.length,
    },
    layers: [],
    ...over,
  };
  const bytes = Buffer.from(spell(fields));
  const manifest = { mediaType, bytes, digest: digestOf(algorithm, bytes) };
  await target.addManifest(repository, manifest, tag);
  return { ...manifest, repository, config };
}
