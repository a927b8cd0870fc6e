/** Where content may come from: a repository of a registry. */
export interface Repository {
  /** Host, and port where one is given: `docker.io`, `ghcr.io`, `registry.lan:5000`. */
  readonly registry: string;
  /** `library/alpine` */
  readonly name: string;
}

// OCI distribution spec, "Pulling manifests".
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const REGISTRY =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?$/;

/** Longest repository name, with its registry, that clients and registries agree on. */
const MAX_NAME_LENGTH = 255;

/** The registry a reference without one means. */
export const DEFAULT_REGISTRY = 'docker.io';

/** Docker Hub's other names: docker's of old, and that of its registry's host. */
const HUB_ALIASES: ReadonlySet<string> = new Set(['index.docker.io', 'registry-1.docker.io']);

/** In place of a registry's name: every registry that is not listed by its own. */
export const OTHER_REGISTRIES = '*';

export function isRepositoryName(text: string): boolean {
  // `$` also matches before a final newline.
  return text.length <= MAX_NAME_LENGTH && !text.endsWith('\n') && NAME.test(text);
}

export function isTag(text: string): boolean {
  return !text.endsWith('\n') && TAG.test(text);
}

/** A host name or IPv4 address with an optional port. */
export function isRegistry(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && !text.endsWith('\n') && REGISTRY.test(text);
}

/**
 * The one name a registry has in tokens, records, rules and logs: host names know no case, and what is denied of Docker
 * Hub must not be had by another name of it.
 */
export function canonicalRegistry(name: string): string {
  const lower = name.toLowerCase();
  return HUB_ALIASES.has(lower) ? DEFAULT_REGISTRY : lower;
}

/** `registry/name`, for logs and messages. */
export function repositoryText(repository: Repository): string {
  return `${repository.registry}/${repository.name}`;
}
