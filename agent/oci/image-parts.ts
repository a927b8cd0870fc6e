import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { isRecord, parseRecord } from './json.ts';
import { type Descriptor, descriptorIn } from './manifest.ts';
import { choosePlatform, type Platform, platformText, type WantedPlatform } from './platform.ts';

/** Indexes in indexes, which nobody makes deeper. */
const MAX_DEPTH = 4;

/** Manifests of one image; a distribution's base image has some twenty, with as many attestations. */
const MAX_MANIFESTS = 1024;

/** Config and layers of all of them. */
const MAX_BLOBS = 65_536;

/** A manifest, verified by who gives it. */
export interface ManifestContent {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** What an image is made of, for the platforms that were wanted. */
export interface ImageParts {
  /** The manifest or index that the reference means first. */
  readonly manifests: readonly (Descriptor & { readonly mediaType: string })[];
  /** Configs and layers, each once. */
  readonly blobs: readonly Descriptor[];
  /** As `linux/amd64`; none of an image without an index. */
  readonly platforms: readonly string[];
}

/** An entry of an index. */
interface IndexEntry extends Descriptor {
  readonly mediaType: string | undefined;
  readonly platform: Platform | undefined;
}

/**
 * Gives a manifest, verified; undefined where one that an index lists is not there, and need not be. `reference` is what
 * was asked for at first, then digests.
 */
export type ManifestSource = (reference: string, mediaType?: string) => Promise<ManifestContent | undefined>;

/**
 * Walks an image from its name to its blobs: an index, the manifests of the platforms that are wanted, their configs and
 * layers. Only these are asked for. Layers that are never in a registry (with `urls` of their own) are left out.
 * @throws AgentError PLATFORM_UNKNOWN; UPSTREAM_FAILED where something is no manifest; what `source` throws
 */
export async function partsOfImage(
  reference: string,
  wanted: WantedPlatform,
  source: ManifestSource,
): Promise<ImageParts> {
  const manifests = new Map<Digest, Descriptor & { mediaType: string }>();
  const blobs = new Map<Digest, Descriptor>();
  const platforms: string[] = [];

  const visit = async (what: string, depth: number, mediaType?: string): Promise<void> => {
    const manifest = await source(what, mediaType);
    if (manifest === undefined || manifests.has(manifest.digest)) return;
    const { digest, bytes } = manifest;
    manifests.set(digest, { digest, size: bytes.length, mediaType: manifest.mediaType });
    const children = childrenOf(manifest);
    for (const blob of children.blobs) blobs.set(blob.digest, blob);
    if (depth > MAX_DEPTH || manifests.size > MAX_MANIFESTS || blobs.size > MAX_BLOBS) {
      throw new AgentError('UPSTREAM_FAILED', `${reference} lists more than an image has`);
    }
    for (const entry of chosen(children.entries, wanted, reference)) {
      if (entry.platform !== undefined) platforms.push(platformText(entry.platform));
      await visit(entry.digest, depth + 1, entry.mediaType);
    }
  };
  await visit(reference, 0);
  return { manifests: [...manifests.values()], blobs: [...blobs.values()], platforms };
}

function chosen(entries: readonly IndexEntry[], wanted: WantedPlatform, reference: string): readonly IndexEntry[] {
  // An index that names no platforms is a list of artifacts: all of them are it.
  if (wanted === 'all' || entries.every(({ platform }) => platform === undefined)) return entries;
  const entry = choosePlatform(entries, wanted);
  if (entry !== undefined) return [entry];
  const there = entries.flatMap(({ platform }) =>
    platform === undefined || platform.os === 'unknown' ? [] : [platformText(platform)],
  );
  const list = there.length === 0 ? 'nothing' : [...new Set(there)].join(', ');
  throw new AgentError('PLATFORM_UNKNOWN', `${reference} has nothing for ${platformText(wanted)}; it has ${list}`);
}

/** What a manifest leads to: `entries` of an index, `blobs` of an image. What it is about (`subject`) is no part of it. */
function childrenOf({ digest, bytes }: ManifestContent): { entries: IndexEntry[]; blobs: Descriptor[] } {
  const parsed = parseRecord(bytes);
  const { manifests, config, layers, blobs } = parsed ?? {};
  if (Array.isArray(manifests)) return { entries: manifests.flatMap((one) => entryOf(one)), blobs: [] };
  if (!isRecord(config) && !Array.isArray(layers) && !Array.isArray(blobs)) {
    throw new AgentError('UPSTREAM_FAILED', `${digest} is neither an image’s manifest nor an index`);
  }
  const listed = [config, layers, blobs].flat().flatMap((one) => (isElsewhere(one) ? [] : descriptorIn(one)));
  return { entries: [], blobs: listed };
}

/** A layer that may not be given to others: its registry does not have it. */
function isElsewhere(value: unknown): boolean {
  return isRecord(value) && Array.isArray(value.urls) && /foreign|nondistributable/.test(String(value.mediaType));
}

function entryOf(value: unknown): IndexEntry[] {
  return descriptorIn(value).map((descriptor) => {
    const { mediaType, platform } = value as Record<string, unknown>;
    return {
      ...descriptor,
      mediaType: typeof mediaType === 'string' ? mediaType : undefined,
      platform: isPlatform(platform) ? platform : undefined,
    };
  });
}

function isPlatform(value: unknown): value is Platform {
  return isRecord(value) && typeof value.os === 'string' && typeof value.architecture === 'string';
}
