import { hash } from 'node:crypto';
import { algorithmOf, type Digest, toDigest } from '../../protocol/digest.ts';
import { isAgentError } from '../errors.ts';

/** A manifest, whole and verified. */
export interface VerifiedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Where the bytes were for this request. */
  readonly source: 'store' | 'peer' | 'upstream';
}

/** One that was asked for by a name. */
export interface NamedManifest extends VerifiedManifest {
  /** Where upstream was not asked what the tag is now, or could not be: how long ago it was. Milliseconds. */
  readonly staleFor?: number;
  /** Where that is a peer's word: the peer's id. */
  readonly toldBy?: string;
}

/** The digest of `bytes` in the algorithm of `like` (sha256 where there is none). */
export function digestOf(like: Digest | undefined, bytes: Uint8Array): Digest {
  const algorithm = like === undefined ? 'sha256' : algorithmOf(like);
  return toDigest(algorithm, hash(algorithm, bytes, 'buffer'));
}

const AWAY = [
  'UPSTREAM_UNREACHABLE',
  'UPSTREAM_STALLED',
  'UPSTREAM_FAILED',
  'UPSTREAM_RATE_LIMITED',
  // A portal that wants a login first gives every name an address of its own.
  'ADDRESS_PRIVATE',
] as const;

/** Whether upstream could not be asked, as against asked and answering no. */
export function isAway(error: unknown): boolean {
  return isAgentError(error, ...AWAY);
}
