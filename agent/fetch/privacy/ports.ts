import type { Digest } from '../../../protocol/digest.ts';
import type { Repository } from '../../oci/reference.ts';
import type { Said, Standing } from './standing.ts';

/**
 * What is remembered of repositories, and outlasts a restart. Bounded: what was found out longest ago goes first. It
 * only saves requests, so nothing here throws: a record that cannot be written is not there.
 */
export interface StandingRecords {
  find(repository: Repository): Standing | undefined;
  put(repository: Repository, standing: Standing): void;
}

/**
 * The registries, as they are to who has no credentials. A registry itself is asked, the last of its endpoints: a mirror
 * before it may have credentials of its own.
 */
export interface Anonymous {
  /**
   * What a registry says of a repository.
   * @param reference a manifest that is said to be there; undefined: where none is known
   * @throws AgentError UPSTREAM_… where it cannot be asked, or does not say
   */
  standing(repository: Repository, reference: string | undefined, signal: AbortSignal): Promise<Said>;
  /** Whether it would give this, of this repository. @throws like {@link standing} */
  has(repository: Repository, kind: 'manifest' | 'blob', digest: Digest, signal: AbortSignal): Promise<boolean>;
}
