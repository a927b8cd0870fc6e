import { AgentError } from '../errors.ts';
import {
  canonicalRegistry,
  DEFAULT_REGISTRY,
  isRegistry,
  isRepositoryName,
  isTag,
  type Repository,
  repositoryText,
} from './reference.ts';

/** An image as people name it, by its tag. */
export interface TaggedImage {
  readonly repository: Repository;
  readonly tag: string;
}

/** What docker takes a reference to mean that names no tag. */
const DEFAULT_TAG = 'latest';

/** Where Docker Hub's images without an owner lie. */
const OFFICIAL_OWNER = 'library';

/**
 * Reads an image reference as docker does: `alpine` is `docker.io/library/alpine:latest`; the first component is a
 * registry where it has a dot or a colon, or is `localhost`.
 * @throws AgentError IMAGE_INVALID
 */
export function parseImage(text: string): TaggedImage {
  if (text.includes('@')) {
    return refuse(text, 'it names a digest, and what a digest means never changes; give a tag');
  }
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(0, slash));
  const hasRegistry = slash > 0 && (first === 'localhost' || /[.:]/.test(first));
  const rest = hasRegistry ? text.slice(slash + 1) : text;
  const colon = rest.lastIndexOf(':');
  const path = colon === -1 ? rest : rest.slice(0, colon);
  const tag = colon === -1 ? DEFAULT_TAG : rest.slice(colon + 1);
  if (hasRegistry && !isRegistry(first)) return refuse(text, 'what comes before the first slash is no registry');
  const registry = hasRegistry ? canonicalRegistry(first) : DEFAULT_REGISTRY;
  const name = registry === DEFAULT_REGISTRY && !path.includes('/') ? `${OFFICIAL_OWNER}/${path}` : path;
  if (!isRepositoryName(name))
    return refuse(text, 'a repository is of lower-case letters, digits, and - _ . / between');
  if (!isTag(tag)) return refuse(text, 'a tag is of at most 128 letters, digits, and - _ .');
  return { repository: { registry, name }, tag };
}

/** The whole of an image's name: `docker.io/library/alpine:latest`. */
export function imageText({ repository, tag }: TaggedImage): string {
  return `${repositoryText(repository)}:${tag}`;
}

function refuse(text: string, why: string): never {
  throw new AgentError('IMAGE_INVALID', `${JSON.stringify(text.slice(0, 300))} is no image with a tag: ${why}`);
}
