import type { Digest } from '../../protocol/digest.ts';
import { briefly, isAgentError } from '../errors.ts';
import { descriptorsOf, MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import type { FetchComponents } from './init.ts';
import { mediaTypeOf } from './media-type.ts';
import { isStoreFailure } from './store-failure.ts';
import type { VerifiedManifest } from './verified-manifest.ts';

/** A manifest from the store; undefined where it is not held, or not good any more. */
export async function heldManifest(
  { store, published }: Pick<FetchComponents, 'store' | 'published'>,
  digest: Digest,
  signal: AbortSignal,
): Promise<VerifiedManifest | undefined> {
  const blob = store.find(digest);
  if (blob === undefined || blob.size > MAX_MANIFEST_SIZE) return undefined;
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of store.read(digest, 0, blob.size, signal)) pieces.push(Uint8Array.from(piece));
  } catch (error) {
    if (isAgentError(error, 'BLOB_ROTTEN')) return undefined;
    throw error;
  }
  const bytes = Buffer.concat(pieces);
  const mediaType = blob.mediaType ?? mediaTypeOf(bytes);
  published?.seen(digest, bytes);
  return mediaType === undefined ? undefined : { digest, mediaType, bytes, source: 'store' };
}

/**
 * Puts a manifest in the store, and remembers the sizes that it tells.
 * @param privateOf the registry that it is private for, where it is not for peers; what is held already stays what it is
 * @returns whether it is held now
 */
export async function keepManifest(
  { store, logger, published }: Pick<FetchComponents, 'store' | 'logger' | 'published'>,
  { digest, bytes, mediaType }: VerifiedManifest,
  privateOf?: string,
): Promise<boolean> {
  let isHeld = true;
  try {
    if (privateOf !== undefined && isNews(store, digest)) store.keepPrivate(digest, privateOf);
    await store.put(digest, bytes, mediaType);
  } catch (error) {
    if (isAgentError(error) && !isStoreFailure(error)) throw error;
    // It is here, whole and verified: that a disk is full is no reason to keep it from who asked. The store says so once.
    logger[isStoreFailure(error) ? 'debug' : 'warn']({ digest, ...briefly(error) }, 'manifest not stored');
    isHeld = false;
  }
  store.rememberDescriptors(descriptorsOf(bytes));
  published?.seen(digest, bytes);
  return isHeld;
}

/** What the host holds elsewhere is held, and yet neither private here nor for peers: the store's own copy would be theirs. */
function isNews(store: FetchComponents['store'], digest: Digest): boolean {
  if (store.find(digest) === undefined) return true;
  return store.held(digest) === undefined && !store.isPrivate(digest);
}
