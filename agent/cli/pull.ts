import { z } from 'zod';
import { imageReferenceText, parseImageReference } from '../oci/image-reference.ts';
import { parsePlatform } from '../oci/platform.ts';
import { followAgent } from './command.ts';
import { type ConfigOptions, configOf } from './options.ts';
import { printable } from './printable.ts';
import { createProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';
import { shareText, sizeText } from './units.ts';

export interface PullOptions extends ConfigOptions {
  readonly platform?: string;
  readonly json?: boolean;
}

const count = z.object({ done: z.number(), of: z.number() });

/** What `/agent/pull` says, line by line. */
const lineSchema = z.object({
  state: z.enum(['pulling', 'pulled']),
  image: z.string(),
  digest: z.string().nullable(),
  platforms: z.array(z.string()),
  blobs: count,
  bytes: count,
  from: z.object({ held: z.number(), peers: z.number(), upstream: z.number() }),
});

type Line = z.infer<typeof lineSchema>;

/**
 * `layerlan pull IMAGE`: has the running agent take an image into its store. Ends with this process.
 * @throws AgentError IMAGE_INVALID, PLATFORM_…, NOT_STORED, CONFIG_…, AGENT_NOT_RUNNING; what a pull fails with
 */
export async function pull(image: string, options: PullOptions, terminal: Terminal): Promise<void> {
  const wanted = imageReferenceText(parseImageReference(image));
  const { platform, json: asJson } = options;
  if (platform !== undefined) parsePlatform(platform);
  const parameters = { image: wanted, ...(platform !== undefined && { platform }) };
  const command = { name: 'pull', parameters, what: 'pull an image', about: wanted };
  const progress = createProgress(terminal);
  try {
    for await (const { answer, json } of followAgent(configOf(options), command, lineSchema)) {
      if (asJson === true) await terminal.out(`${JSON.stringify(json)}\n`);
      else if (answer.state === 'pulling') await progress.show(progressText(answer));
      else {
        await progress.clear();
        await terminal.out(pulledText(answer));
      }
    }
  } finally {
    await progress.clear();
  }
}

function progressText({ image, blobs, bytes }: Line): string {
  const share = shareText(bytes.done, bytes.of);
  const sizes = `${sizeText(bytes.done)} of ${sizeText(bytes.of)}`;
  return `${printable(image)}: ${share}, ${sizes}, ${blobs.done} of ${blobs.of} blobs`;
}

/** What was pulled, and where it was, in two lines. */
export function pulledText({ image, digest, platforms, blobs, bytes, from }: Line): string {
  const where = [
    [from.held, 'held before'],
    [from.peers, 'from peers'],
    [from.upstream, 'from upstream'],
  ] as const;
  const parts = where.flatMap(([size, name]) => (size === 0 ? [] : [`${sizeText(size)} ${name}`]));
  const which = platforms.length === 0 ? '' : ` for ${printable(platforms.join(', '))}`;
  return (
    `${printable(image)} is ${printable(digest ?? '')}\n` +
    `${sizeText(bytes.of)} in ${blobs.of} blobs${which}: ${parts.join(', ')}\n`
  );
}
