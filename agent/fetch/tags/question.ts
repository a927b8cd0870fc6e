import type { Digest } from '../../../protocol/digest.ts';
import { type Repository, repositoryText } from '../../oci/reference.ts';
import type { VerifiedManifest } from '../verified-manifest.ts';
import { acceptText } from './accept.ts';
import type { TagName, TagRecord } from './ports.ts';

/** A tag, and what its asker accepts. */
export interface TagQuestion {
  readonly repository: Repository;
  readonly tag: string;
  readonly accept: readonly string[];
}

/** What a tag means. */
export interface TagAnswer {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  /** Where upstream was not asked now, or could not be: how long ago it was. Milliseconds. */
  readonly staleFor?: number;
  /** Where that is a peer's word: the peer's id. */
  readonly toldBy?: string;
  /** The manifest itself, where it was taken to give this answer. */
  readonly manifest?: VerifiedManifest;
}

/** What a tag was before upstream was asked, and is. */
export interface RefreshedTag {
  readonly was: Pick<TagRecord, 'digest' | 'checkedAt'> | undefined;
  readonly is: TagAnswer;
}

/** The answer that a manifest in hand gives. */
export function whole(manifest: VerifiedManifest) {
  return { digest: manifest.digest, mediaType: manifest.mediaType, size: manifest.bytes.length, manifest };
}

export function nameOf({ repository, tag }: TagQuestion): TagName {
  return { registry: repository.registry, repository: repository.name, tag };
}

/** Who asks at once asks once: a fleet that starts together asks for one tag. What is accepted is part of the question. */
export function keyOf({ repository, tag, accept }: TagQuestion): string {
  return JSON.stringify([repositoryText(repository), tag, acceptText(accept) ?? accept]);
}
