import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import type { Command } from './command.ts';
import { knownImages, rootsOf } from './images.ts';
import { type NamedImage, namedImageText, parseNamedImage } from './named-image.ts';
import { pinnedImages } from './pinned.ts';
import type { Store, TagName } from './ports.ts';
import { partsOf } from './walk.ts';

/**
 * `layerlan rm IMAGE|DIGEST`. Of an image: what no other image that is known here is made of; what its tag was is
 * forgotten. Of a digest alone: that blob. A line for each that went or stayed, and one in the end.
 */
export function createRm(store: Store): Command {
  return async function* rm({ one, signal }) {
    const image = parseNamedImage(one('image'));
    const name = namedImageText(image);
    const tag = tagOf(image);
    const roots = tag === undefined ? [image.digest!] : rootsOf(store, tag);
    refusePinned(store, image, roots);
    const parts = new Set<Digest>();
    if (image.repository === undefined) parts.add(image.digest!);
    else
      for (const root of roots)
        for (const { digest } of await partsOf(store.inspection, root, signal)) parts.add(digest);
    const stays =
      image.repository === undefined ? new Map<Digest, string>() : await namedElsewhere(store, name, parts, signal);
    let blobs = 0;
    let bytes = 0;
    let stayed = 0;
    for (const digest of parts) {
      signal.throwIfAborted();
      const held = store.inspection.blob(digest);
      // Pinned meanwhile, or for another image.
      const by = stays.get(digest) ?? (store.isPinned(digest) ? 'a pinned image' : undefined);
      if (by !== undefined) {
        if (held === undefined) continue;
        stayed += 1;
        yield { stays: digest, size: held.size, by };
        continue;
      }
      const freed = await store.collection.remove(digest);
      if (held === undefined && freed === 0) continue;
      blobs += 1;
      bytes += held?.size ?? freed;
      yield { gone: digest, size: held?.size ?? freed };
    }
    const isForgotten = tag !== undefined && forget(store, tag);
    if (blobs + stayed === 0 && !isForgotten) throw new AgentError('IMAGE_UNKNOWN', 'Nothing of it is held here.');
    yield { done: { image: name, blobs, size: bytes, stayed } };
  };
}

function tagOf({ repository, tag }: NamedImage): TagName | undefined {
  if (repository === undefined || tag === undefined) return undefined;
  return { registry: repository.registry, repository: repository.name, tag };
}

function refusePinned(store: Store, image: NamedImage, roots: readonly Digest[]): void {
  const name = namedImageText(image);
  const pin = pinnedImages(store).find(
    (each) =>
      namedImageText(each.image) === name ||
      (image.repository === undefined ? each.digests.includes(image.digest!) : roots.includes(each.root)),
  );
  if (pin === undefined) return;
  const as = namedImageText(pin.image);
  throw new AgentError(
    'IMAGE_PINNED',
    `It is pinned${as === name ? '' : ` with ${as}`}; \`layerlan unpin ${as}\` first.`,
  );
}

/** Which of `parts` other images are made of, and one of these images for each. */
async function namedElsewhere(
  store: Store,
  name: string,
  parts: ReadonlySet<Digest>,
  signal: AbortSignal,
): Promise<Map<Digest, string>> {
  const named = new Map<Digest, string>();
  for await (const other of knownImages(store, signal)) {
    const text = other.name === undefined ? other.root : namedImageText(other.name);
    // A manifest that nothing leads to is no reason for what it is a part of to stay.
    if (text === name || (other.name === undefined && parts.has(other.root))) continue;
    for (const { digest } of other.parts) if (parts.has(digest) && !named.has(digest)) named.set(digest, text);
  }
  return named;
}

/** @returns whether anything was known */
function forget(store: Store, tag: TagName): boolean {
  const records = store.tags.peek(tag);
  for (const { accept } of records) store.tags.drop(tag, accept);
  return records.length > 0;
}
