import type { Digest } from '../../protocol/digest.ts';
import type { Repository } from '../oci/reference.ts';

/** Who wants to know what upstream shows to anybody: what else the host holds may be shared if it is that. */
export interface Published {
  /** Upstream named or gave this digest, of a repository that anybody may have. */
  named(repository: Repository, digest: Digest): void;
  /** The bytes of a manifest, which match its digest; whether it is public is for the listener to know. */
  seen(digest: Digest, manifest: Uint8Array): void;
}

/** `published`, told only of what is named in repositories that are known to be public by then. */
export function onlyPublic(published: Published, isPublic: (repository: Repository) => boolean): Published {
  return {
    named: (repository, digest) => {
      if (isPublic(repository)) published.named(repository, digest);
    },
    seen: (digest, manifest) => published.seen(digest, manifest),
  };
}
