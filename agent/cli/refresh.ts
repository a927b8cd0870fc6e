import { z } from 'zod';
import { imageText, parseImage } from '../oci/image.ts';
import { askAgent } from './command.ts';
import { configOf } from './options.ts';
import { printable } from './printable.ts';
import type { QueryOptions } from './status.ts';
import type { Terminal } from './terminal.ts';
import { spanText } from './units.ts';

/** Longer than the agent lets upstream take. Milliseconds. */
const TIMEOUT = 40_000;

/** What `/agent/refresh` says. */
const refreshedSchema = z.object({
  image: z.string(),
  /** null where the tag was not known. */
  was: z.object({ digest: z.string(), checkedAt: z.iso.datetime() }).nullable(),
  is: z.object({ digest: z.string(), mediaType: z.string(), size: z.number() }),
});

type Refreshed = z.infer<typeof refreshedSchema>;

/**
 * `layerlan refresh IMAGE`: has the running agent look at the tag upstream now.
 * @throws AgentError IMAGE_INVALID, CONFIG_…, AGENT_NOT_RUNNING; what upstream answers, by the agent's word
 */
export async function refresh(image: string, options: QueryOptions, terminal: Terminal): Promise<void> {
  const wanted = imageText(parseImage(image));
  const command = { name: 'refresh', parameters: { image: wanted }, what: 'refresh a tag', about: wanted };
  const { answer, json } = await askAgent(configOf(options), command, refreshedSchema, TIMEOUT);
  await terminal.out(options.json === true ? `${JSON.stringify(json, null, 2)}\n` : refreshedText(answer, Date.now()));
}

/** @param now milliseconds since the epoch */
export function refreshedText({ image, was, is }: Refreshed, now: number): string {
  const name = printable(image);
  const digest = printable(is.digest);
  if (was === null) return `${name} is ${digest}; nothing was known of it here.\n`;
  const age = spanText((now - Date.parse(was.checkedAt)) / 1000);
  if (was.digest === is.digest) return `${name} is ${digest}, as it was ${age} ago.\n`;
  return `${name} has moved: it is ${digest}; ${age} ago it was ${printable(was.digest)}.\n`;
}
