import type { Digest } from '../../../protocol/digest.ts';
import type { Repository } from '../../oci/reference.ts';
import type { ContentComponents } from '../init.ts';
import type { VerifiedManifest } from '../verified-manifest.ts';
import type { TagQuestion } from './question.ts';

/** What finding out what a tag means takes beside. */
export interface TagsComponents extends ContentComponents {
  /** A manifest from the store, a peer or upstream. */
  byDigest(
    repository: Repository,
    digest: Digest,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<VerifiedManifest>;
  /** A manifest from upstream, for a registry whose HEAD does not say enough. */
  byTag(question: TagQuestion, signal: AbortSignal): Promise<{ manifest: VerifiedManifest; etag: string | undefined }>;
}
