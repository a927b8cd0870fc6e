import { AgentError } from '../errors.ts';
import { matchesPattern } from '../oci/pattern.ts';
import { OTHER_REGISTRIES, type Repository, repositoryText } from '../oci/reference.ts';

/** Which repositories of a registry may be pulled, by patterns; `deny` is stronger. */
export interface RepositoryRules {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** Throws where a repository may not be pulled. */
export type Admission = (repository: Repository) => void;

/**
 * The check of every request that names a repository, before anybody looks for what it wants: neither store, nor peer,
 * nor registry is asked for what is refused here.
 *
 * Throws AgentError REGISTRY_NOT_LISTED or REPOSITORY_NOT_ALLOWED.
 * @param registries by name, in lower case; without {@link OTHER_REGISTRIES} only those listed may be used
 */
export function createAdmission(registries: ReadonlyMap<string, RepositoryRules>): Admission {
  return (repository) => {
    const { registry, name } = repository;
    const rules = registries.get(registry) ?? registries.get(OTHER_REGISTRIES);
    if (rules === undefined) {
      throw new AgentError(
        'REGISTRY_NOT_LISTED',
        `${registry} is not among the registries this agent is configured for; list it, or unset registries.only.`,
      );
    }
    const matches = (pattern: string): boolean => matchesPattern(pattern, name);
    const denied = rules.deny.find(matches);
    if (denied === undefined && rules.allow.some(matches)) return;
    const why = denied === undefined ? 'matches nothing in allow' : `matches ${denied} in deny`;
    throw new AgentError('REPOSITORY_NOT_ALLOWED', `This agent may not pull ${repositoryText(repository)}: it ${why}.`);
  };
}
