import { createHash } from 'node:crypto';
import { toDigest } from '../../../protocol/digest.ts';

/** What the mirror under test holds: the same in each run, so that a seed makes the same requests. */
export const BLOB = Buffer.alloc(200_000, 'layer');
export const BLOB_DIGEST = toDigest('sha256', createHash('sha256').update(BLOB).digest());
export const MANIFEST = '{"schemaVersion":2}';
export const TAG = 'v1';
