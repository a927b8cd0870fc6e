import { type Digest, isDigest } from '../../protocol/digest.ts';
import { imageReferenceText, parseImageReference } from '../oci/image-reference.ts';
import type { Repository } from '../oci/reference.ts';

/** An image as people name it: by a tag, by a repository and a digest, or by a digest alone. */
export interface NamedImage {
  /** undefined where only a digest was given. */
  readonly repository: Repository | undefined;
  /** undefined where a digest was given. */
  readonly tag: string | undefined;
  /** undefined where a tag was given. */
  readonly digest: Digest | undefined;
}

/**
 * Reads an image's name as docker does. A tag before a digest says nothing (`app:v1@sha256:…`).
 * @throws AgentError IMAGE_INVALID
 */
export function parseNamedImage(text: string): NamedImage {
  if (isDigest(text)) return { repository: undefined, tag: undefined, digest: text };
  const { repository, tag, digest } = parseImageReference(text);
  return { repository, tag: digest === undefined ? tag : undefined, digest };
}

/** The whole of its name: `docker.io/library/alpine:latest`, `docker.io/library/alpine@sha256:…`, `sha256:…`. */
export function namedImageText({ repository, tag, digest }: NamedImage): string {
  if (repository === undefined) return digest ?? '';
  return imageReferenceText({ repository, tag, digest });
}
