import { randomFillSync } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from './commands.ts';
import type { Docker } from './docker.ts';
import { CACHE_DIR, LAB_DIR, REGISTRY_DIR } from './place.ts';
import { REGISTRY_PORT } from './registry.ts';

/** A root file system older than this is made anew. Milliseconds (a week). */
const ROOTFS_AGE = 7 * 24 * 3_600_000;

const MIB = 1024 * 1024;

/** The layers over the root file system, in MiB of random bytes, which no registry can compress. */
const SMALL_LAYERS = [8, 2];
/** One layer that is most of the image, for faults that have to come in its middle. */
const LARGE_LAYER = 112;

/** What an image is, as the registry has it. */
export interface Image {
  /** As `docker pull` takes it. */
  readonly reference: string;
  /** Digest of the manifest. */
  readonly digest: string;
  /** As docker names it: the digest of the configuration. */
  readonly id: string;
  /** Configuration and layers. */
  readonly blobs: readonly { readonly digest: string; readonly size: number }[];
  /** Manifest, configuration and layers. Bytes. */
  readonly size: number;
  readonly largest: { readonly digest: string; readonly size: number };
}

/**
 * Two real images that share all but one layer: a host that has `base` and pulls `full` gets the largest layer and
 * hardly anything else, so that what passes over an interface is that layer.
 */
export interface Images {
  readonly base: Image;
  readonly full: Image;
}

const IMAGES = join(LAB_DIR, 'images.json');

/** What {@link publishImages} left. */
export async function readImages(): Promise<Images> {
  return JSON.parse(await readFile(IMAGES, 'utf8'));
}

/** Builds both images with `docker` and pushes them to the registry on its own host. */
export async function publishImages(docker: Docker): Promise<Images> {
  const rootfs = await rootFileSystem();
  const dir = join(LAB_DIR, 'build');
  await mkdir(dir, { recursive: true });
  for (const [name, size] of [...SMALL_LAYERS, LARGE_LAYER].entries()) await writeNoise(join(dir, `data${name}`), size);
  await writeFile(join(dir, '.dockerignore'), '');
  await docker.command('import', '--change', 'CMD ["/bin/bash"]', rootfs, 'rootfs');
  const small = SMALL_LAYERS.map((_, index) => `COPY data${index} /srv/`).join('\n');
  const base = await buildAndPush(docker, dir, 'base', `FROM rootfs\n${small}\n`);
  const full = await buildAndPush(
    docker,
    dir,
    'full',
    `FROM ${nameAtRegistry('base')}\nCOPY data${SMALL_LAYERS.length} /srv/\n`,
  );
  await rm(dir, { recursive: true });
  const images = { base, full };
  await writeFile(IMAGES, JSON.stringify(images, undefined, 2));
  return images;
}

/** docker.io's `library/`: where `docker pull lan:…` looks. */
const nameAtRegistry = (tag: string) => `127.0.0.1:${REGISTRY_PORT}/library/lan:${tag}`;

async function buildAndPush(docker: Docker, dir: string, tag: string, dockerfile: string): Promise<Image> {
  const file = join(dir, `Dockerfile.${tag}`);
  await writeFile(file, dockerfile);
  const name = nameAtRegistry(tag);
  await docker.command('build', '--quiet', '--tag', name, '--file', file, dir);
  await docker.command('push', '--quiet', name);
  const image = await describe(tag);
  const built = await docker.imageId(name);
  if (image.id !== built) throw new Error(`the registry has ${image.id} as ${name}, built was ${built}`);
  return image;
}

/** Where the registry keeps a blob. */
export function registryFile(digest: string): string {
  const hex = digest.slice('sha256:'.length);
  return join(REGISTRY_DIR, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
}

/** Reads an image from the registry's disk, past every piece of software under test. */
async function describe(tag: string): Promise<Image> {
  const repository = join(REGISTRY_DIR, 'docker/registry/v2/repositories/library/lan');
  const link = join(repository, '_manifests/tags', tag, 'current/link');
  const digest = (await readFile(link, 'utf8')).trim();
  const manifest = await readFile(registryFile(digest));
  const { config, layers } = JSON.parse(manifest.toString());
  const blobs: { digest: string; size: number }[] = [config, ...layers].map(({ digest, size }) => ({ digest, size }));
  const largest = blobs.reduce((a, b) => (b.size > a.size ? b : a));
  const size = blobs.reduce((sum, blob) => sum + blob.size, manifest.length);
  return { reference: `lan:${tag}`, digest, id: config.digest, blobs, size, largest };
}

/** A real Debian root file system as a tar, made once a week. */
async function rootFileSystem(): Promise<string> {
  const file = join(CACHE_DIR, 'bookworm-minbase.tar');
  const age = await stat(file).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  );
  if (age > ROOTFS_AGE) {
    // mmdebstrap goes by the name's ending.
    const fresh = join(CACHE_DIR, 'fresh.tar');
    await must(['mmdebstrap', '--quiet', '--variant=minbase', 'bookworm', fresh], { timeout: 300_000 });
    await rename(fresh, file);
  }
  return file;
}

async function writeNoise(path: string, size: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    const piece = Buffer.alloc(MIB);
    for (let written = 0; written < size; written++) await file.write(randomFillSync(piece));
  } finally {
    await file.close();
  }
}
