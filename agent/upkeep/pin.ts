import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { MANIFEST_MEDIA_TYPES } from '../oci/manifest.ts';
import type { Command, CommandRequest } from './command.ts';
import { rootsOf } from './images.ts';
import { type NamedImage, namedImageText, parseNamedImage } from './named-image.ts';
import { pinKey, pinnedImages } from './pinned.ts';
import type { Content, Store } from './ports.ts';
import { partsOf } from './walk.ts';

/** Of what is missing so many are named; the rest is counted. */
const MISSING_NAMED = 100;

/**
 * `layerlan pin IMAGE`: all that the image is made of, held or to come, is kept from eviction. A tag is pinned as what it
 * is now; where its manifest is not held it is fetched, its layers are not.
 */
export function createPin(store: Store, content: Pick<Content, 'getManifest'>): Command {
  return async (request) => {
    const image = parseNamedImage(request.one('image'));
    const root = await rootOf(store, content, image, request);
    const parts = await partsOf(store.inspection, root, request.signal);
    const pinned = pinKey(image, root);
    store.pin(
      pinned,
      parts.map(({ digest }) => digest),
    );
    // The same tag may have been another image then. That one goes last: a disk that is full must not unpin it alone.
    for (const key of keysOf(store, image)) if (key !== pinned) store.unpin(key);
    const missing = parts.filter(({ held }) => held === undefined);
    const hasPlatform = parts.some(({ kind, held }) => kind === 'platform' && held !== undefined);
    const blobs = missing.filter(({ kind }) => kind !== 'platform' || !hasPlatform);
    return {
      image: namedImageText(image),
      digest: root,
      blobs: parts.length - missing.length + blobs.length,
      missing: {
        blobs: blobs.length,
        size: blobs.reduce((sum, { size }) => sum + size, 0),
        first: blobs.slice(0, MISSING_NAMED).map(({ digest, size, kind }) => ({ digest, size, kind })),
      },
    };
  };
}

/** `layerlan unpin IMAGE`: what was pinned under this name is like any other again. */
export function createUnpin(store: Store): Command {
  return async ({ one }) => {
    const image = parseNamedImage(one('image'));
    const keys = keysOf(store, image);
    if (keys.length === 0) throw new AgentError('IMAGE_UNKNOWN', `${namedImageText(image)} is not pinned.`);
    for (const key of keys) store.unpin(key);
    return { image: namedImageText(image) };
  };
}

function keysOf(store: Store, image: NamedImage): string[] {
  const name = namedImageText(image);
  return pinnedImages(store).flatMap((pin) => (namedImageText(pin.image) === name ? pin.key : []));
}

async function rootOf(
  store: Store,
  content: Pick<Content, 'getManifest'>,
  { repository, tag, digest }: NamedImage,
  { admit, signal }: CommandRequest,
): Promise<Digest> {
  const roots =
    digest === undefined && repository !== undefined && tag !== undefined
      ? rootsOf(store, { registry: repository.registry, repository: repository.name, tag })
      : [digest!];
  const known = roots.find((root) => store.inspection.blob(root) !== undefined);
  if (known !== undefined) return known;
  if (repository === undefined) {
    throw new AgentError('IMAGE_UNKNOWN', `${digest} is not held; name it with its repository, and it is fetched.`);
  }
  admit(repository);
  const reference = digest ?? tag!;
  return (await content.getManifest({ repository, reference, accept: [...MANIFEST_MEDIA_TYPES] }, signal)).digest;
}
