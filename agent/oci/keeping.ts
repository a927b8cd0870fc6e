import { matchesPattern } from './pattern.ts';
import { canonicalRegistry, DEFAULT_REGISTRY, type Repository, repositoryText } from './reference.ts';

/** What a registry's and a repository's name are made of, and the star. */
const PATTERN = /^[a-z0-9._:/*-]+$/;

/** Which repositories' content is stored, by patterns of `registry/repository`; `skip` is stronger. */
export interface KeepingRules {
  readonly keep: readonly string[];
  readonly skip: readonly string[];
}

/** Whether what comes from a repository is stored. */
export function createKeeping({ keep, skip }: KeepingRules): (repository: Repository) => boolean {
  return (repository) => {
    const text = repositoryText(repository);
    const matches = (pattern: string) => matchesPattern(pattern, text);
    return keep.some(matches) && !skip.some(matches);
  };
}

/** Why no repository could ever match a pattern; undefined where one could. */
export function keepingPatternProblem(pattern: string): string | undefined {
  const what = 'must be a registry and a repository, with * for any characters: docker.io/library/* or ghcr.io/owner/*';
  if (!PATTERN.test(pattern) || pattern.endsWith('\n')) return what;
  const [registry = '', name, ...more] = pattern.split('/');
  if (registry.includes('*')) return undefined;
  if (registry === '' || name === undefined || name === '') return what;
  if (canonicalRegistry(registry) !== registry) return `must say ${DEFAULT_REGISTRY} where it says ${registry}`;
  const isShort = registry === DEFAULT_REGISTRY && more.length === 0 && !name.includes('*');
  return isShort ? `must be ${DEFAULT_REGISTRY}/library/${name}: images without an owner lie there` : undefined;
}
