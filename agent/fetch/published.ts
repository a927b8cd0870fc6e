import type { Digest } from '../../protocol/digest.ts';
import type { Repository } from '../oci/reference.ts';
import type { FetchComponents } from './init.ts';

/** Who wants to know what upstream shows to anybody: what else the host holds may be shared if it is that. */
export interface Published {
  /** Upstream named or gave this digest to somebody without credentials. */
  named(repository: Repository, digest: Digest): void;
  /** The bytes of a manifest, which match its digest; whether it is public is for the listener to know. */
  seen(digest: Digest, manifest: Uint8Array): void;
}

/** Tells that upstream named a digest, if it did so without credentials and of a repository that needs none. */
export function tellNamed(
  { upstream, published }: Pick<FetchComponents, 'upstream' | 'published'>,
  repository: Repository,
  digest: Digest,
  withCredentials: boolean,
): void {
  if (!withCredentials && !upstream.mayBePrivate(repository)) published?.named(repository, digest);
}
