import { z } from 'zod';
import { namedImageText, parseNamedImage } from '../upkeep/named-image.ts';
import { askAgent } from './command.ts';
import { configOf } from './options.ts';
import { printable } from './printable.ts';
import type { QueryOptions } from './status.ts';
import type { Terminal } from './terminal.ts';
import { sizeText } from './units.ts';

/** Longer than the agent lets upstream take for a manifest. Milliseconds. */
const TIMEOUT = 40_000;

/** Lines of what is missing; `--json` has more. */
const MISSING_SHOWN = 10;

const pinnedSchema = z.object({
  image: z.string(),
  digest: z.string(),
  blobs: z.number(),
  missing: z.object({
    blobs: z.number(),
    /** Bytes. */
    size: z.number(),
    first: z.array(z.object({ digest: z.string(), size: z.number(), kind: z.string() })),
  }),
});

type Pinned = z.infer<typeof pinnedSchema>;

const unpinnedSchema = z.object({ image: z.string() });

/**
 * `layerlan pin IMAGE`: has the running agent keep it from eviction.
 * @throws AgentError IMAGE_INVALID, IMAGE_UNKNOWN, CONFIG_…, AGENT_NOT_RUNNING; what upstream answers
 */
export async function pin(image: string, options: QueryOptions, terminal: Terminal): Promise<void> {
  const wanted = namedImageText(parseNamedImage(image));
  const command = { name: 'pin', parameters: { image: wanted }, what: 'pin an image', about: wanted };
  const { answer, json } = await askAgent(configOf(options), command, pinnedSchema, TIMEOUT);
  await terminal.out(options.json === true ? `${JSON.stringify(json, null, 2)}\n` : pinnedText(answer));
}

/**
 * `layerlan unpin IMAGE`: what was pinned by this name may be evicted again.
 * @throws AgentError IMAGE_INVALID, IMAGE_UNKNOWN, CONFIG_…, AGENT_NOT_RUNNING
 */
export async function unpin(image: string, options: QueryOptions, terminal: Terminal): Promise<void> {
  const wanted = namedImageText(parseNamedImage(image));
  const command = { name: 'unpin', parameters: { image: wanted }, what: 'unpin an image', about: wanted };
  const { answer, json } = await askAgent(configOf(options), command, unpinnedSchema, TIMEOUT);
  const shown = `${printable(answer.image)} is pinned no longer.\n`;
  await terminal.out(options.json === true ? `${JSON.stringify(json, null, 2)}\n` : shown);
}

export function pinnedText({ image, digest, blobs, missing }: Pinned): string {
  const name = printable(image);
  const pinned = `${name} is pinned: ${printable(digest)}, ${blobs} blobs`;
  if (missing.blobs === 0) return `${pinned}, all of them held.\n`;
  const shown = missing.first.slice(0, MISSING_SHOWN);
  const more = missing.blobs - shown.length;
  return [
    `${pinned}; ${missing.blobs} of them (${sizeText(missing.size)}) are missing, and stay once they are pulled:`,
    ...shown.map(
      (part) =>
        `  ${printable(part.digest)}  ${sizeText(part.size)}${part.kind === 'platform' ? '  (a platform)' : ''}`,
    ),
    ...(more > 0 ? [`  and ${more} more`] : []),
    '',
  ].join('\n');
}
