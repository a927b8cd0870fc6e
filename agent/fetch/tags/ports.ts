import type { Digest } from '../../../protocol/digest.ts';

/** A tag of a repository of a registry. */
export interface TagName {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** What upstream said that a tag is, to a client that accepted what this one did. */
export interface TagRecord {
  /** What was accepted, as accept.ts writes it: another client may be given something else. */
  readonly accept: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  /** The registry's validator; null where it sends none. */
  readonly etag: string | null;
  /** When upstream was asked. Milliseconds since the epoch. */
  readonly checkedAt: number;
}

/**
 * What is remembered of tags, and outlasts a restart. Bounded: the tags that were used longest ago go first, and of one
 * tag the records that were checked longest ago. It only saves requests, so nothing here throws: a record that cannot be
 * written is not there.
 */
export interface TagRecords {
  /** All records of a tag, the one checked last first. Notes a use of them. */
  find(name: TagName): readonly TagRecord[];
  /** The same for somebody else: it is no use of them, and writes nothing. */
  peek(name: TagName): readonly TagRecord[];
  /** Takes the place of the tag's record with the same `accept`. */
  put(name: TagName, record: TagRecord): void;
  /** Forgets the tag's record with this `accept`, if there is one. */
  drop(name: TagName, accept: string): void;
}
