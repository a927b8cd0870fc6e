import { encode } from 'cborg';
import type { Digest } from './digest.ts';

/** The first element of every statement: another shape gets another name. */
const FORMAT = 'layerlan/tag/1';

/** Bounds of what names a tag, and of what is said of it: characters. A host name, and a repository with its registry. */
export const MAX_TAG_NAMES = { registry: 255, repository: 255, tag: 128 } as const;

/** The most that a client's accepted media types take, each written once. Characters. */
export const MAX_ACCEPT = 2048;

/** Two names of 127 characters and a slash (RFC 6838, 4.2). */
export const MAX_MEDIA_TYPE = 255;

/** The last moment that a date can be. Milliseconds since the epoch. */
export const MAX_CHECKED_AT = 8_640_000_000_000_000;

/** A tag of a repository of a registry. */
export interface TagName {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** What a tag is asked for: who accepts other media types may be given something else. */
export interface AskedTag extends TagName {
  /** Media ranges in lower case without blanks, each once, sorted, with commas between. */
  readonly accept: string;
}

/** What upstream said that a tag is. */
export interface CheckedTag {
  /** What upstream was offered then; written as in {@link AskedTag}. */
  readonly accept: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  /** When upstream was asked, by the signer's clock. Milliseconds since the epoch. */
  readonly checkedAt: number;
}

/** "I asked upstream what this tag is, then, and this is what it said." */
export interface SignedTag extends CheckedTag {
  /** Peer id of who asked upstream. */
  readonly signer: string;
  /** Ed25519, by the signer's identity key, of {@link tagStatement}. */
  readonly signature: Uint8Array;
}

/**
 * The bytes that are signed: a CBOR array of the format, what names the tag, and what was said of it, deterministic by
 * RFC 8949 §4.2.1. The names are those of the question, so that no answer can be one to another question.
 */
export function tagStatement({ registry, repository, tag }: TagName, checked: CheckedTag): Uint8Array {
  const { accept, digest, mediaType, size, checkedAt } = checked;
  return encode([FORMAT, registry, repository, tag, accept, digest, mediaType, size, checkedAt]);
}
