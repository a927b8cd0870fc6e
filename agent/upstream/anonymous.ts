import type { Digest } from '../../protocol/digest.ts';
import { isAgentError } from '../errors.ts';
import { MANIFEST_MEDIA_TYPES } from '../oci/manifest.ts';
import type { Repository } from '../oci/reference.ts';
import { headBlob } from './blob-answer.ts';
import { listTags } from './listing.ts';
import { headManifest, type ManifestHead } from './manifest.ts';
import type { RegistryEndpoints } from './options.ts';
import type { Ask } from './question.ts';

/** Where HEAD of a manifest does not answer it: a question of the repository that no registry counts as a pull. */
const ONE_TAG = 'n=1';

/** What a registry says of a repository to somebody without credentials. */
export type Said = 'public' | 'denied' | 'missing';

/**
 * The registries, as they are to who has no credentials. Throws AgentError UPSTREAM_… where one cannot be asked or does
 * not say, and the signal's reason.
 */
export interface AnonymousClient {
  /** @param reference a manifest that is said to be there; undefined where none is known */
  standing(repository: Repository, reference: string | undefined, signal: AbortSignal): Promise<Said>;
  /** Whether it would give this, of this repository. */
  has(repository: Repository, kind: 'manifest' | 'blob', digest: Digest, signal: AbortSignal): Promise<boolean>;
}

/**
 * @param ask shows nobody anything, and asks the registries themselves: see {@link registriesThemselves}
 * @param received told of every piece of body
 */
export function createAnonymous(
  ask: Ask,
  stallTimeout: number,
  received: (bytes: number) => void,
  lifetime: AbortSignal,
): AnonymousClient {
  const byHead = async (repository: Repository, reference: string, signal: AbortSignal): Promise<Said | undefined> => {
    try {
      const head = await headManifest(ask, repository, reference, [], signal);
      // Where somebody's front door is before the registry, its page for logging in is a 200 too.
      return isManifest(head) ? 'public' : undefined;
    } catch (error) {
      signal.throwIfAborted();
      // A 405, for one.
      if (isAgentError(error, 'UPSTREAM_FAILED')) return undefined;
      return refusal(error);
    }
  };
  const byTags = async (repository: Repository, signal: AbortSignal): Promise<Said> => {
    try {
      const { tags } = await listTags(ask, repository, ONE_TAG, stallTimeout, received, signal);
      // Anything in JSON may be taken for a list with nothing in it.
      return tags.length > 0 ? 'public' : 'missing';
    } catch (error) {
      signal.throwIfAborted();
      return refusal(error);
    }
  };
  return {
    async standing(repository, reference, callers) {
      const signal = AbortSignal.any([callers, lifetime]);
      const said = reference === undefined ? undefined : await byHead(repository, reference, signal);
      return said ?? (await byTags(repository, signal));
    },
    async has(repository, kind, digest, callers) {
      const signal = AbortSignal.any([callers, lifetime]);
      try {
        if (kind === 'manifest') {
          const head = await headManifest(ask, repository, digest, [], signal);
          return isManifest(head) && (head.digest ?? digest) === digest;
        }
        await headBlob(ask, repository, digest, signal);
        return true;
      } catch (error) {
        signal.throwIfAborted();
        refusal(error);
        return false;
      }
    },
  };
}

/**
 * Of each registry the last endpoint alone, which is by custom the registry itself: a mirror before it may have
 * credentials of its own, and what it gives to anybody on this LAN the registry may not.
 */
export function registriesThemselves(
  registries: Readonly<Record<string, RegistryEndpoints>>,
): Readonly<Record<string, RegistryEndpoints>> {
  const themselves = Object.entries(registries).map(([name, registry]) => {
    return [name, { ...registry, endpoints: registry.endpoints.slice(-1) }] as const;
  });
  return Object.fromEntries(themselves);
}

/** @throws what is no answer of the registry's */
function refusal(error: unknown): 'denied' | 'missing' {
  if (isAgentError(error, 'UPSTREAM_DENIED')) return 'denied';
  if (isAgentError(error, 'MANIFEST_UNKNOWN', 'BLOB_UNKNOWN', 'NAME_UNKNOWN')) return 'missing';
  throw error;
}

function isManifest({ digest, mediaType }: ManifestHead): boolean {
  return digest !== undefined || MANIFEST_MEDIA_TYPES.some((known) => known === mediaType);
}
