import type { Digest } from '../../../protocol/digest.ts';
import { descriptorsOf } from '../../oci/manifest.ts';
import type { VerifiedManifest } from '../verified-manifest.ts';

/** What is longer lists thousands, and would be parsed at each request for it. Bytes; most are a tenth of it. */
const MAX_PARSED = 128 * 1024;

/** A manifest, and what it lists: clients do not ask for what they have, though a peer may want it. */
export function partsOf({ digest, bytes }: VerifiedManifest): Digest[] {
  const listed = bytes.length > MAX_PARSED ? [] : descriptorsOf(bytes);
  return [digest, ...listed.map((one) => one.digest)];
}
