import { z } from 'zod';
import { namedImageText, parseNamedImage } from '../upkeep/named-image.ts';
import { followAgent } from './command.ts';
import { configOf } from './options.ts';
import { printable } from './printable.ts';
import { createProgress } from './progress.ts';
import type { QueryOptions } from './status.ts';
import type { Terminal } from './terminal.ts';
import { sizeText } from './units.ts';

const lineSchema = z.union([
  z.object({ gone: z.string(), size: z.number() }),
  z.object({ stays: z.string(), size: z.number(), by: z.string() }),
  z.object({ done: z.object({ image: z.string(), blobs: z.number(), size: z.number(), stayed: z.number() }) }),
]);

/**
 * `layerlan rm IMAGE|DIGEST`: has the running agent remove it from its store.
 * @throws AgentError IMAGE_INVALID, IMAGE_UNKNOWN, IMAGE_PINNED, CONFIG_…, AGENT_NOT_RUNNING
 */
export async function rm(image: string, options: QueryOptions, terminal: Terminal): Promise<void> {
  const wanted = namedImageText(parseNamedImage(image));
  const command = { name: 'rm', parameters: { image: wanted }, what: 'remove an image', about: wanted };
  const progress = createProgress(terminal);
  for await (const { answer, json } of followAgent(configOf(options), command, lineSchema)) {
    await progress.clear();
    await terminal.out(options.json === true ? `${JSON.stringify(json)}\n` : lineText(answer));
    if (!('done' in answer)) await progress.show(`removing ${wanted}`);
  }
}

export function lineText(line: z.infer<typeof lineSchema>): string {
  if ('gone' in line) return `gone   ${printable(line.gone)}  ${sizeText(line.size)}\n`;
  if ('stays' in line) {
    return `stays  ${printable(line.stays)}  ${sizeText(line.size)}  ${printable(line.by)} is made of it\n`;
  }
  const { image, blobs, size, stayed } = line.done;
  const rest = stayed === 0 ? '' : `; ${stayed} stayed for others`;
  return `${printable(image)}: ${blobs} gone, ${sizeText(size)}${rest}.\n`;
}
