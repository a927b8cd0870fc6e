import { type Digest, parseDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { parseImage } from './image.ts';
import { type Repository, repositoryText } from './reference.ts';

/** An image as people name it: by tag, by digest, or by both, where the digest is what counts. */
export interface ImageReference {
  readonly repository: Repository;
  /** undefined where only a digest was given. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/**
 * Reads `alpine`, `alpine:3`, `alpine@sha256:…` or `alpine:3@sha256:…`; names as {@link parseImage} has them.
 * @throws AgentError IMAGE_INVALID
 */
export function parseImageReference(text: string): ImageReference {
  const at = text.indexOf('@');
  if (at === -1) return { ...parseImage(text), digest: undefined };
  const name = text.slice(0, at);
  const digest = parseDigest(text.slice(at + 1));
  if (digest === undefined) {
    const shown = JSON.stringify(text.slice(0, 300));
    const why = 'what comes after the @ is no sha256 or sha512 digest in lower-case hex';
    throw new AgentError('IMAGE_INVALID', `${shown} is no image: ${why}`);
  }
  const { repository, tag } = parseImage(name);
  const isTagged = name.slice(name.lastIndexOf('/') + 1).includes(':');
  return { repository, tag: isTagged ? tag : undefined, digest };
}

/** The whole of its name: `docker.io/library/alpine:3`. */
export function imageReferenceText({ repository, tag, digest }: ImageReference): string {
  return [repositoryText(repository), tag && `:${tag}`, digest && `@${digest}`].join('');
}

/** What a registry is asked for. */
export function referenceOf({ tag, digest }: ImageReference): string {
  return digest ?? tag ?? '';
}
