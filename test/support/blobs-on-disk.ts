import { createHash } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { algorithmOf, type Digest, hexOf } from '../../protocol/digest.ts';
import type { GeneratedImage } from './upstream-image.ts';

/** Where the blobs of a layout lie, below its root. */
export const BLOBS = { oci: 'blobs', containerd: join('io.containerd.content.v1.content', 'blobs') } as const;

export function blobPath(kind: keyof typeof BLOBS, root: string, digest: Digest): string {
  return join(root, BLOBS[kind], algorithmOf(digest), hexOf(digest));
}

/** Puts a blob where containerd or a layout's owner would, in their way: written elsewhere, then renamed. */
export async function putBlob(
  kind: keyof typeof BLOBS,
  root: string,
  digest: Digest,
  bytes: Uint8Array,
): Promise<void> {
  const path = blobPath(kind, root, digest);
  await mkdir(dirname(path), { recursive: true });
  const ref = createHash('sha256').update(digest).digest('hex');
  const ingest =
    kind === 'containerd'
      ? join(root, 'io.containerd.content.v1.content', 'ingest', ref)
      : join(root, `oci-put-${ref}`);
  await mkdir(ingest, { recursive: true });
  await writeFile(join(ingest, 'data'), bytes);
  await rename(join(ingest, 'data'), path);
  await rm(ingest, { recursive: true });
}

/** What of an image there is to put: manifests, config and layers. */
export function blobsOf({ manifest, index, blobs }: GeneratedImage): Map<Digest, Uint8Array> {
  const all = new Map<Digest, Uint8Array>();
  for (const each of [manifest, index]) if (each !== undefined) all.set(each.digest, each.bytes);
  for (const [digest, content] of blobs) all.set(digest, Buffer.concat([...content.read(0, content.size)]));
  return all;
}
