import type { Digest } from '../../protocol/digest.ts';
import type { Command } from './command.ts';
import { type KnownImage, knownImages } from './images.ts';
import { namedImageText } from './named-image.ts';
import { paged } from './pages.ts';
import type { InspectedBlob, Lan, Store } from './ports.ts';

/** `layerlan ls`: images, or blobs with `blobs=true`, a line each. Nothing of it counts as a use. */
export function createLs(store: Store, lan: Lan): Command {
  return ({ flag, signal }) => (flag('blobs') ? blobLines(store, lan, signal) : imageLines(store, lan, signal));
}

async function* imageLines(store: Store, lan: Lan, signal: AbortSignal): AsyncGenerator<object, void> {
  for await (const image of knownImages(store, signal)) {
    const line = imageLine(image, store, lan);
    // A tag that was only asked about is no image that is here.
    if (line.held.blobs > 0 || line.pinned) yield line;
  }
}

async function* blobLines({ inspection }: Store, lan: Lan, signal: AbortSignal): AsyncGenerator<object, void> {
  const blobs = paged(
    (after: Digest | undefined, limit) => inspection.blobs(after, limit),
    ({ digest }: InspectedBlob) => digest,
  );
  for await (const { digest, size, mediaType, lastUsed, checkedAt, isPinned, isPrivate } of blobs) {
    signal.throwIfAborted();
    yield {
      digest,
      size,
      mediaType,
      lastUsed: timeText(lastUsed),
      checkedAt: timeText(checkedAt),
      pinned: isPinned,
      private: isPrivate,
      holders: lan.tellersOf(digest),
    };
  }
}

function imageLine({ name, root, parts }: KnownImage, store: Store, lan: Lan) {
  const platforms = parts.filter(({ kind }) => kind === 'platform');
  // A platform that nobody here wanted is nothing that is missing.
  const wanted = parts.filter(({ kind, held }) => kind !== 'platform' || held !== undefined);
  const held = wanted.flatMap((part) => part.held ?? []);
  return {
    image: name === undefined ? null : namedImageText(name),
    digest: root,
    platforms: { held: platforms.filter((part) => part.held !== undefined).length, named: platforms.length },
    blobs: wanted.length,
    size: wanted.reduce((sum, { size }) => sum + size, 0),
    held: { blobs: held.length, size: held.reduce((sum, { size }) => sum + size, 0) },
    lastUsed: held.length === 0 ? null : timeText(Math.max(...held.map(({ lastUsed }) => lastUsed))),
    pinned: store.isPinned(root),
    private: held.some(({ isPrivate }) => isPrivate),
    // Of the blob that the fewest hold: so many have it all, at most.
    holders: held.length === 0 ? 0 : Math.min(...held.map(({ digest }) => lan.tellersOf(digest))),
  };
}

/** @param time milliseconds since the epoch */
function timeText(time: number): string {
  return new Date(time).toISOString();
}
