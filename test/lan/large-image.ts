import { randomFillSync } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestOfFile } from './agent.ts';
import { must } from './commands.ts';
import { type Image, registryFile } from './image.ts';
import { LAB_DIR, REGISTRY_DIR } from './place.ts';

const MIB = 1024 * 1024;

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/**
 * Puts an image of `layers` layers of `size` MiB of noise into the registry's directory, past docker: built and pushed, a
 * GiB would take minutes.
 */
export async function publishLargeImage(layers: number, size: number): Promise<Image> {
  const dir = join(LAB_DIR, 'large');
  await mkdir(dir, { recursive: true });
  const blobs: { digest: string; size: number }[] = [];
  for (let index = 0; index < layers; index++) {
    const [noise, tar] = [`noise${index}`, join(dir, `${index}.tar`)];
    await writeFile(join(dir, noise), randomFillSync(Buffer.allocUnsafe(size * MIB)));
    await must(['tar', '--create', '--file', tar, '--directory', dir, noise]);
    await rm(join(dir, noise));
    const bytes = Number((await must(['stat', '--format=%s', tar])).trim());
    blobs.push({ digest: await place(tar), size: bytes });
  }
  const config = await placeJson(dir, {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: blobs.map(({ digest }) => digest) },
  });
  const manifest = await placeJson(dir, {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: blobs.map((blob) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...blob })),
  });
  const repository = join(REGISTRY_DIR, 'docker/registry/v2/repositories/library/large');
  const path = (digest: string) => digest.replace(':', '/');
  for (const { digest } of [config, ...blobs]) await link(join(repository, '_layers', path(digest)), digest);
  await link(join(repository, '_manifests/revisions', path(manifest.digest)), manifest.digest);
  await link(join(repository, '_manifests/tags/latest/index', path(manifest.digest)), manifest.digest);
  await link(join(repository, '_manifests/tags/latest/current'), manifest.digest);
  await rm(dir, { recursive: true });
  const all = [config, ...blobs];
  return {
    reference: 'large:latest',
    digest: manifest.digest,
    id: config.digest,
    blobs: all,
    size: all.reduce((sum, blob) => sum + blob.size, manifest.size),
    largest: blobs[0]!,
  };
}

async function placeJson(dir: string, value: unknown): Promise<{ digest: string; size: number }> {
  const file = join(dir, 'value.json');
  await writeFile(file, JSON.stringify(value));
  const { length } = await readFile(file);
  return { digest: await place(file), size: length };
}

/** Moves a file to where the registry keeps the blob that it is. */
async function place(file: string): Promise<string> {
  const digest = await digestOfFile(file);
  await mkdir(dirname(registryFile(digest)), { recursive: true });
  await rename(file, registryFile(digest));
  return digest;
}

async function link(directory: string, digest: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'link'), digest);
}
