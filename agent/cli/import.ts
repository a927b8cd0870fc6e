import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { Digest } from '../../protocol/digest.ts';
import type { Config } from '../config/load.ts';
import { AgentError, isAgentError } from '../errors.ts';
import { type ImageParts, partsOfImage } from '../oci/image-parts.ts';
import { imageReferenceText, parseImageReference } from '../oci/image-reference.ts';
import { type Descriptor, MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { OWNER_KEY_FILE } from '../owner-key.ts';
import { inLanes } from './lanes.ts';
import { type NamedEntry, named } from './layout/names.ts';
import { openBlob, readLayout, readManifest, refused } from './layout/read.ts';
import { type ConfigOptions, configOf } from './options.ts';
import { printable } from './printable.ts';
import { createProgress, type Progress } from './progress.ts';
import type { Terminal } from './terminal.ts';
import { sendToAgent } from './transfer.ts';
import { sizeText } from './units.ts';

/** Blobs that are sent at once. */
const LANES = 3;

/** Refusals that are told; there may be a broken disk's worth. */
const MAX_TOLD = 10;

export interface ImportOptions extends ConfigOptions {
  readonly name?: string;
  readonly share?: boolean;
  readonly json?: boolean;
}

const takenSchema = z.object({ held: z.boolean() });
const taggedSchema = z.object({ image: z.string(), digest: z.string(), was: z.string().nullable() });

/**
 * `layerlan import DIR`: gives the images that an OCI layout lists to the running agent, which verifies them. Of what is
 * damaged or missing each piece is refused by its digest, and the rest comes in.
 * @throws AgentError IMPORT_REFUSED, LAYOUT_INVALID, NOT_OWNER, NOT_STORED, IMAGE_INVALID, CONFIG_…, AGENT_NOT_RUNNING
 */
export async function importLayout(directory: string, options: ImportOptions, terminal: Terminal): Promise<void> {
  const name = options.name === undefined ? undefined : parseImageReference(options.name);
  const path = resolve(directory);
  const entries = named(await readLayout(path), name, path);
  const config = configOf(options);
  const progress = createProgress(terminal);
  const sender = new Sender(config, await ownerKey(config), path, options.share === true, progress);
  try {
    for (const entry of entries) {
      const said = await sender.send(entry);
      await progress.clear();
      if (said !== undefined) await terminal.out(options.json === true ? `${JSON.stringify(said)}\n` : saidText(said));
    }
  } finally {
    await progress.clear();
  }
  if (sender.refusals.length === 0) return;
  const more = sender.refusals.length - MAX_TOLD;
  const told = [...sender.refusals.slice(0, MAX_TOLD), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
  throw new AgentError('IMPORT_REFUSED', `${told}. The rest came in; an image that lacks something has no name here.`);
}

interface Imported {
  readonly image: string;
  readonly digest: string;
  /** What the tag was here; null where it was not known, or there is none. */
  readonly was: string | null;
  readonly blobs: number;
  readonly bytes: number;
}

function saidText({ image, digest, was, blobs, bytes }: Imported): string {
  const before = was === null || was === digest ? '' : `; here it was ${printable(was)}`;
  return `${printable(image)} is ${digest}${before}\n${sizeText(bytes)} in ${blobs} blobs\n`;
}

class Sender {
  /** What was refused, and why. */
  readonly refusals: string[] = [];
  readonly #config: Config;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #directory: string;
  readonly #isShared: boolean;
  readonly #progress: Progress;

  constructor(config: Config, key: string, directory: string, isShared: boolean, progress: Progress) {
    this.#config = config;
    this.#headers = { 'x-layerlan-owner': key };
    this.#directory = directory;
    this.#isShared = isShared;
    this.#progress = progress;
  }

  /** @returns undefined where something of it was refused */
  async send(entry: NamedEntry): Promise<Imported | undefined> {
    const before = this.refusals.length;
    const parts = await this.#walk(entry);
    const all = [...parts.blobs.map((blob) => ({ ...blob, mediaType: undefined })), ...parts.manifests];
    const bytes = all.reduce((sum, { size }) => sum + size, 0);
    const image = imageReferenceText(entry.image);
    let done = 0;
    const sent = async (size: number) => {
      done += size;
      await this.#progress.show(`${image}: ${sizeText(done)} of ${sizeText(bytes)}`);
    };
    await inLanes(LANES, all, async (blob) => {
      await this.#tolerant(() => this.#sendBlob(image, blob, blob.mediaType, sent));
    });
    if (this.refusals.length > before) return undefined;
    const said = { image, digest: entry.digest, was: null, blobs: parts.blobs.length, bytes };
    if (entry.image.tag === undefined) return said;
    const parameters = { image, digest: entry.digest };
    const { answer } = await this.#ask('import-tag', parameters, taggedSchema);
    return { ...said, was: answer.was };
  }

  /** What the image has of its manifests here: of an index some platforms may have been left out. */
  async #walk(entry: NamedEntry): Promise<ImageParts> {
    let parts: ImageParts = { manifests: [], blobs: [], platforms: [] };
    const before = this.refusals.length;
    let missing = 0;
    await this.#tolerant(async () => {
      parts = await partsOfImage(entry.digest, 'all', async (reference, mediaType) => {
        const digest = reference as Digest;
        const bytes = await this.#tolerant(() => readManifest(this.#directory, digest, MAX_MANIFEST_SIZE));
        const isMissing = bytes === undefined && digest === entry.digest && this.refusals.length === before;
        if (isMissing) throw refused(digest, 'it is not in the layout');
        if (bytes === undefined) {
          missing += 1;
          return undefined;
        }
        return { digest, mediaType: digest === entry.digest ? entry.mediaType : (mediaType ?? ''), bytes };
      });
      // By its name nobody could pull anything, and what was known of the name would be gone.
      const isNothing = missing > 0 && parts.blobs.length === 0 && this.refusals.length === before;
      if (isNothing) throw refused(entry.digest, 'nothing that it lists is in the layout');
    });
    return parts;
  }

  async #sendBlob(
    image: string,
    { digest, size }: Descriptor,
    mediaType: string | undefined,
    sent: (bytes: number) => Promise<void>,
  ): Promise<void> {
    const { answer } = await this.#ask('import-held', { image, digest }, takenSchema);
    if (answer.held) return await sent(size);
    const blob = await openBlob(this.#directory, digest);
    if (blob === undefined) throw refused(digest, 'it is not in the layout');
    try {
      if (blob.size !== size) throw refused(digest, `it has ${blob.size} bytes, not ${size}`);
      await this.#ask(
        'import-blob',
        {
          image,
          digest,
          size: `${size}`,
          share: `${this.#isShared}`,
          ...(mediaType !== undefined && { mediaType }),
        },
        takenSchema,
        { size, bytes: counted(blob.bytes(), sent) },
      );
    } finally {
      await blob.close();
    }
  }

  #ask<Answer>(
    name: string,
    parameters: Readonly<Record<string, string>>,
    schema: z.ZodType<Answer>,
    content: { readonly size: number; readonly bytes: AsyncIterable<Uint8Array> } = { size: 0, bytes: NOTHING },
  ) {
    const headers = { ...this.#headers, 'content-length': `${content.size}` };
    const command = { name, parameters, what: 'import an image' };
    return sendToAgent(this.#config, command, { headers, body: content.bytes }, schema);
  }

  /** Notes what is refused, and goes on. */
  async #tolerant<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      // UPSTREAM_FAILED: what is no manifest, here as there.
      if (!isAgentError(error, 'IMPORT_REFUSED', 'UPSTREAM_FAILED', 'LAYOUT_INVALID')) throw error;
      this.refusals.push(error.message);
      return undefined;
    }
  }
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  count: (size: number) => Promise<void>,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of bytes) {
    yield piece;
    await count(piece.length);
  }
}

const NOTHING: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: async function* () {},
};

async function ownerKey(config: Config): Promise<string> {
  const path = join(config.store.path, OWNER_KEY_FILE);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    const advice = 'as root or as the agent’s user, with the configuration that the agent was started with';
    throw new AgentError('NOT_OWNER', `${path} cannot be read: ${code}; import ${advice}`, { cause });
  }
}
