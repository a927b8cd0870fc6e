import { isBlobSize } from '../../protocol/chunks.ts';
import { algorithmOf, type Digest, hexOf, isDigest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { isRecord } from './json.ts';
import type { Descriptor } from './manifest.ts';

/** The two files that make a directory a layout (OCI image spec, "Image Layout"). */
export const LAYOUT_FILE = 'oci-layout';
export const INDEX_FILE = 'index.json';

/** What of a layout's index is read. Bytes. */
export const MAX_INDEX_SIZE = 4 * 1024 * 1024;

const VERSION = '1.0.0';

/** Its text in {@link LAYOUT_FILE}. */
export const LAYOUT_TEXT = JSON.stringify({ imageLayoutVersion: VERSION });

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

/** The tag, or whatever the layout's own tools call the image: skopeo's and podman's `oci:DIR:NAME`. */
const REF_NAME = 'org.opencontainers.image.ref.name';

/** The whole name, as containerd and docker write and read it. */
const FULL_NAME = 'io.containerd.image.name';

/** What a layout's index lists. */
export interface LayoutEntry extends Descriptor {
  readonly mediaType: string;
  /** {@link FULL_NAME} */
  readonly fullName: string | undefined;
  /** {@link REF_NAME} */
  readonly refName: string | undefined;
}

/** A layout's index, with whatever else others have put into it. */
export type LayoutIndex = Readonly<Record<string, unknown>> & { readonly manifests: readonly unknown[] };

/** An image that is to be listed. */
export interface ListedImage extends Descriptor {
  readonly mediaType: string;
  /** `docker.io/library/alpine:3` */
  readonly fullName: string;
  readonly tag: string | undefined;
}

/** Where a blob lies below the layout's directory. */
export function blobPath(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

/** @param text of {@link LAYOUT_FILE} @throws AgentError LAYOUT_INVALID */
export function checkLayout(text: string): void {
  const version = parse(text, LAYOUT_FILE).imageLayoutVersion;
  if (version === VERSION) return;
  const shown = JSON.stringify(version)?.slice(0, 40);
  throw new AgentError('LAYOUT_INVALID', `${LAYOUT_FILE} says version ${shown}, not ${VERSION}`);
}

/** @param text of {@link INDEX_FILE} @throws AgentError LAYOUT_INVALID */
export function parseIndex(text: string): LayoutIndex {
  const parsed = parse(text, INDEX_FILE);
  const { manifests } = parsed;
  if (!Array.isArray(manifests)) throw new AgentError('LAYOUT_INVALID', `${INDEX_FILE} lists no manifests`);
  return { ...parsed, manifests };
}

/** What is listed, in order. @throws AgentError LAYOUT_INVALID where an entry is no descriptor */
export function entriesOf({ manifests }: LayoutIndex): LayoutEntry[] {
  return manifests.map((value, index) => {
    const { digest, size, mediaType, annotations } = isRecord(value) ? value : {};
    if (typeof digest !== 'string' || !isDigest(digest) || !isBlobSize(size)) {
      throw new AgentError('LAYOUT_INVALID', `entry ${index} of ${INDEX_FILE} is no descriptor with digest and size`);
    }
    const named = isRecord(annotations) ? annotations : {};
    const annotation = (key: string) => (typeof named[key] === 'string' ? named[key] : undefined);
    const type = typeof mediaType === 'string' ? mediaType : '';
    return { digest, size, mediaType: type, fullName: annotation(FULL_NAME), refName: annotation(REF_NAME) };
  });
}

/**
 * The index with an image in it, in place of the one that had its name. Two images of a layout may have one tag, but not
 * one {@link REF_NAME}, by which skopeo and podman choose: the second goes by its whole name there.
 * @param index undefined for a new one
 */
export function withImage(index: LayoutIndex | undefined, image: ListedImage): string {
  const { digest, size, mediaType, fullName, tag } = image;
  const annotationsOf = (value: unknown) =>
    isRecord(value) && isRecord(value.annotations) ? value.annotations : undefined;
  const others = (index?.manifests ?? []).filter((value) => annotationsOf(value)?.[FULL_NAME] !== fullName);
  const isTaken = others.some((value) => annotationsOf(value)?.[REF_NAME] === tag);
  const refName = tag !== undefined && isTaken ? fullName : tag;
  const annotations = { [FULL_NAME]: fullName, ...(refName !== undefined && { [REF_NAME]: refName }) };
  const manifests = [...others, { mediaType, digest, size, annotations }];
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, ...index, manifests });
}

function parse(text: string, file: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Told below.
  }
  if (!isRecord(parsed)) throw new AgentError('LAYOUT_INVALID', `${file} is no JSON object`);
  return parsed;
}
