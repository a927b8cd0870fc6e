import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { algorithmOf, type Digest, isDigest, toDigest } from '../../protocol/digest.ts';
import type { Config } from '../config/load.ts';
import { AgentError } from '../errors.ts';
import { type ManifestContent, partsOfImage } from '../oci/image-parts.ts';
import { type ImageReference, imageReferenceText, parseImageReference, referenceOf } from '../oci/image-reference.ts';
import { MANIFEST_MEDIA_TYPES } from '../oci/manifest.ts';
import { parsePlatform, thisPlatform } from '../oci/platform.ts';
import { inLanes } from './lanes.ts';
import { openLayout } from './layout/write.ts';
import { configOf } from './options.ts';
import { createProgress } from './progress.ts';
import type { PullOptions } from './pull.ts';
import type { Terminal } from './terminal.ts';
import { fetchFromAgent, whole } from './transfer.ts';
import { sizeText } from './units.ts';

/** As many as a client takes at once. */
const LANES = 3;

/**
 * `layerlan export IMAGE DIR`: writes an image as the agent gives it to a client into an OCI layout. It is this process
 * that writes, with its own rights; what the agent does not hold, it fetches.
 * @throws AgentError IMAGE_INVALID, PLATFORM_…, LAYOUT_INVALID, CONFIG_…, AGENT_NOT_RUNNING; what a pull fails with
 */
export async function exportImage(
  text: string,
  directory: string,
  options: PullOptions,
  terminal: Terminal,
): Promise<void> {
  const image = parseImageReference(text);
  const wanted = options.platform === undefined ? thisPlatform() : parsePlatform(options.platform);
  const config = configOf(options);
  const name = imageReferenceText(image);
  const path = resolve(directory);
  const layout = await openLayout(path);
  const progress = createProgress(terminal);
  try {
    const { manifests, blobs, platforms } = await partsOfImage(referenceOf(image), wanted, async (reference) => {
      const manifest = await manifestOf(config, image, reference);
      await layout.add({ digest: manifest.digest, size: manifest.bytes.length }, () => once(manifest.bytes));
      return manifest;
    });
    const of = blobs.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    const written = async (size: number) => {
      done += size;
      await progress.show(`${name}: ${sizeText(done)} of ${sizeText(of)}`);
    };
    await inLanes(LANES, blobs, async (blob) => {
      const isThere = await layout.add(blob, (start) => blobOf(config, image, blob.digest, start, written));
      if (isThere) await written(blob.size);
    });
    const [first] = manifests;
    if (first === undefined) throw new AgentError('MANIFEST_UNKNOWN', `${name} has no manifest`);
    await layout.list({ ...first, fullName: name, tag: image.tag });
    await progress.clear();
    const { digest } = first;
    const said = { image: name, digest, platforms, blobs: blobs.length, bytes: of, directory: path };
    await terminal.out(
      options.json === true
        ? `${JSON.stringify(said)}\n`
        : `${name} is ${digest}\n${sizeText(of)} in ${blobs.length} blobs are in ${path}\n`,
    );
  } finally {
    await progress.clear();
  }
}

async function manifestOf(config: Config, image: ImageReference, reference: string): Promise<ManifestContent> {
  const path = pathOf(image, 'manifests', reference);
  const answer = await fetchFromAgent(
    config,
    path,
    { accept: MANIFEST_MEDIA_TYPES.join(', ') },
    imageReferenceText(image),
  );
  const bytes = await whole(answer);
  const claimed = isDigest(reference) ? reference : answer.headers['docker-content-digest']?.toString();
  if (claimed === undefined || !isDigest(claimed)) {
    throw new AgentError('AGENT_NOT_RUNNING', 'what answers is no layerlan agent: it names no digest');
  }
  const found = toDigest(algorithmOf(claimed), createHash(algorithmOf(claimed)).update(bytes).digest());
  if (found !== claimed) throw new AgentError('UPSTREAM_MISMATCH', `${claimed} came as ${found}`);
  return { digest: claimed, mediaType: answer.headers['content-type'] ?? '', bytes };
}

async function* blobOf(
  config: Config,
  image: ImageReference,
  digest: Digest,
  start: number,
  came: (bytes: number) => Promise<void>,
): AsyncGenerator<Uint8Array, void> {
  const headers: Record<string, string> = start === 0 ? {} : { range: `bytes=${start}-` };
  const { body } = await fetchFromAgent(config, pathOf(image, 'blobs', digest), headers, imageReferenceText(image));
  for await (const bytes of body) {
    yield bytes;
    await came(bytes.length);
  }
}

function pathOf({ repository }: ImageReference, kind: 'manifests' | 'blobs', reference: string): string {
  return `/v2/${repository.name}/${kind}/${reference}?ns=${encodeURIComponent(repository.registry)}`;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
