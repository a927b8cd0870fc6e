import { z } from 'zod';
import { parseSize } from '../config/size.ts';
import { AgentError } from '../errors.ts';
import { followAgent } from './command.ts';
import { configOf } from './options.ts';
import { printable } from './printable.ts';
import { createProgress } from './progress.ts';
import type { QueryOptions } from './status.ts';
import type { Terminal } from './terminal.ts';
import { sizeText, spanText } from './units.ts';

export interface GcOptions extends QueryOptions {
  readonly dryRun?: boolean;
  readonly to?: string;
}

const goneSchema = z.object({
  gone: z.string(),
  kind: z.enum(['blob', 'partial']),
  /** Bytes of the disk, also below. */
  size: z.number(),
  lastUsed: z.iso.datetime(),
});

const doneSchema = z.object({
  done: z.object({
    dryRun: z.boolean(),
    blobs: z.number(),
    partials: z.number(),
    size: z.number(),
    used: z.number(),
    to: z.number(),
  }),
});

/**
 * `layerlan gc`: has the running agent let go of what is old.
 * @throws AgentError CONFIG_INVALID where --to is no size; CONFIG_…, AGENT_NOT_RUNNING
 */
export async function gc(options: GcOptions, terminal: Terminal): Promise<void> {
  const to = options.to === undefined ? undefined : parseSize(options.to);
  if (options.to !== undefined && to === undefined) {
    throw new AgentError('CONFIG_INVALID', `--to ${JSON.stringify(options.to)} is no size, such as 10GiB or 500MB`);
  }
  const parameters = {
    ...(to !== undefined && { to: String(to) }),
    ...(options.dryRun === true && { 'dry-run': 'true' }),
  };
  const command = { name: 'gc', parameters, what: 'let go of what is old' };
  const progress = createProgress(terminal);
  const now = Date.now();
  let gone = 0;
  for await (const { answer, json } of followAgent(configOf(options), command, z.union([goneSchema, doneSchema]))) {
    await progress.clear();
    await terminal.out(options.json === true ? `${JSON.stringify(json)}\n` : lineText(answer, options, now));
    if ('gone' in answer) gone += 1;
    if (!('done' in answer)) await progress.show(`${gone} ${options.dryRun === true ? 'would go' : 'gone'} so far`);
  }
}

/** @param now milliseconds since the epoch */
export function lineText(
  line: z.infer<typeof goneSchema> | z.infer<typeof doneSchema>,
  { dryRun }: Pick<GcOptions, 'dryRun'>,
  now: number,
): string {
  const went = dryRun === true ? 'would go' : 'gone';
  if ('gone' in line) {
    const used = spanText((now - Date.parse(line.lastUsed)) / 1000);
    const what = line.kind === 'partial' ? '  (half fetched)' : '';
    return `${went}  ${printable(line.gone)}  ${sizeText(line.size)}  used ${used} ago${what}\n`;
  }
  const { blobs, partials, size, used, to } = line.done;
  const rest = used > to ? `, more than ${sizeText(to)}: the rest is pinned or in use, or is the index` : '';
  const takes = dryRun === true ? 'the store would take' : 'the store takes';
  return `${blobs} blobs and ${partials} half fetched ${went}, ${sizeText(size)}; ${takes} ${sizeText(used)}${rest}.\n`;
}
