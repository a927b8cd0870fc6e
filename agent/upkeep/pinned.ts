import type { Logger } from 'pino';
import { type Digest, isDigest } from '../../protocol/digest.ts';
import { type NamedImage, namedImageText, parseNamedImage } from './named-image.ts';
import type { Manifest, Store } from './ports.ts';
import { namedBy } from './walk.ts';

/** An image that is pinned: by which name, and what it was then. */
export interface PinnedImage {
  /** As the store has it: `docker.io/library/app:v1@sha256:…`. */
  readonly key: string;
  readonly image: NamedImage;
  readonly root: Digest;
  readonly digests: readonly Digest[];
}

/** What a pin is kept under: its name, and the digest that this meant, since a tag moves. */
export function pinKey(image: NamedImage, root: Digest): string {
  const name = namedImageText(image);
  return image.tag === undefined ? name : `${name}@${root}`;
}

export function pinnedImages(store: Pick<Store, 'pins'>): PinnedImage[] {
  return store.pins().flatMap(({ image: key, digests }) => {
    const root = key.slice(key.indexOf('@') + 1);
    if (!isDigest(root)) return [];
    // A digest may come after a tag: then the tag is what it was pinned by.
    const isTagged = /:[^/:@]+@/.test(key);
    const image = parseNamedImage(isTagged ? key.slice(0, key.indexOf('@')) : key);
    return [{ key, image, root, digests }];
  });
}

/**
 * Keeps what a pinned manifest names, as soon as it comes: of an index the platforms that are pulled later, too. Before
 * anybody asks for the layers that it names, and for private images as for others. Never throws.
 */
export function extendPins(
  store: Pick<Store, 'pins' | 'pin' | 'isPinned'>,
  logger: Logger,
  { digest, bytes }: Pick<Manifest, 'digest' | 'bytes'>,
): void {
  try {
    if (!store.isPinned(digest)) return;
    const { platforms, blobs } = namedBy(bytes);
    const named = [...platforms, ...blobs].map((part) => part.digest);
    for (const { image, digests } of store.pins()) {
      const known = new Set(digests);
      if (known.has(digest) && named.some((each) => !known.has(each))) store.pin(image, [...digests, ...named]);
    }
  } catch (error) {
    // The pull goes on; with a disk as it is, layers are hardly stored either.
    logger.warn({ digest, err: error }, 'what a pinned manifest names cannot be pinned');
  }
}
