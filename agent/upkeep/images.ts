import type { Digest } from '../../protocol/digest.ts';
import { type NamedImage, namedImageText } from './named-image.ts';
import { paged } from './pages.ts';
import { pinnedImages } from './pinned.ts';
import type { Store, TagName } from './ports.ts';
import { type Part, partsOf } from './walk.ts';

/** An image of which something is known here. */
export interface KnownImage {
  /** By a tag or a pin; undefined where a manifest is held that neither leads to. */
  readonly name: NamedImage | undefined;
  /** Its manifest or index. */
  readonly root: Digest;
  readonly parts: readonly Part[];
}

/**
 * The images that tags, pins and held manifests tell of, with what they are made of: tags by name, then pins, then the
 * manifests that neither of them leads to. One at a time in memory, beside the digests of manifests seen.
 */
export async function* knownImages(store: Store, signal: AbortSignal): AsyncGenerator<KnownImage, void> {
  const seen = new Set<Digest>();
  const told = new Set<string>();
  for await (const { name, root } of namedRoots(store)) {
    const key = `${namedImageText(name)} ${root}`;
    if (told.has(key)) continue;
    told.add(key);
    const image = { name, root, parts: await partsOf(store.inspection, root, signal) };
    for (const { digest, kind } of image.parts) if (kind !== 'blob') seen.add(digest);
    yield image;
  }
  yield* unnamed(store, seen, signal);
}

/** What a tag was found to be, the newest first: clients that accept other media types are given other manifests. */
export function rootsOf(store: Pick<Store, 'tags'>, name: TagName): Digest[] {
  return [...new Set(store.tags.peek(name).map(({ digest }) => digest))];
}

export function imageOfTag({ registry, repository, tag }: TagName): NamedImage {
  return { repository: { registry, name: repository }, tag, digest: undefined };
}

async function* namedRoots(store: Store): AsyncGenerator<{ name: NamedImage; root: Digest }, void> {
  const tags = paged<TagName, TagName>(
    (after, limit) => store.tags.page(after, limit),
    (tag) => tag,
  );
  for await (const tag of tags) for (const root of rootsOf(store, tag)) yield { name: imageOfTag(tag), root };
  for (const { image: name, root } of pinnedImages(store)) yield { name, root };
}

async function* unnamed(store: Store, seen: Set<Digest>, signal: AbortSignal): AsyncGenerator<KnownImage, void> {
  const { inspection } = store;
  const manifests = () =>
    paged(
      (after: Digest | undefined, limit) => inspection.manifests(after, limit),
      ({ digest }) => digest,
    );
  // First what others are platforms of: those are no images of their own.
  const platforms = new Set<Digest>();
  for await (const { digest } of manifests()) {
    if (seen.has(digest)) continue;
    for (const part of await partsOf(inspection, digest, signal)) {
      if (part.kind === 'platform') platforms.add(part.digest);
    }
  }
  for await (const { digest: root } of manifests()) {
    if (seen.has(root) || platforms.has(root)) continue;
    yield { name: undefined, root, parts: await partsOf(inspection, root, signal) };
  }
}
