import { z } from 'zod';
import { followAgent } from './command.ts';
import { configOf } from './options.ts';
import { printable } from './printable.ts';
import { createProgress } from './progress.ts';
import type { QueryOptions } from './status.ts';
import type { Terminal } from './terminal.ts';
import { sizeText } from './units.ts';

export interface VerifyOptions extends QueryOptions {
  readonly all?: boolean;
}

/** Where rot was found, or something could not be read. */
const FOUND = 1;

const rottenSchema = z.object({ rotten: z.string(), mended: z.boolean(), why: z.string().nullable() });
const unreadSchema = z.object({ unread: z.string(), why: z.string() });
const progressSchema = z.object({ checked: z.number(), bytes: z.number() });
const doneSchema = z.object({
  done: z.object({
    checked: z.number(),
    bytes: z.number(),
    rotten: z.number(),
    mended: z.number(),
    unread: z.number(),
  }),
});

/**
 * `layerlan verify`: has the running agent check what it holds.
 * @returns the exit code: 1 where anything was rotten or could not be read
 * @throws AgentError CONFIG_…, AGENT_NOT_RUNNING
 */
export async function verify(options: VerifyOptions, terminal: Terminal): Promise<number> {
  const parameters = options.all === true ? { all: 'true' } : {};
  const command = { name: 'verify', parameters, what: 'check what it holds' };
  const progress = createProgress(terminal);
  let exit = 0;
  const schema = z.union([rottenSchema, unreadSchema, doneSchema, progressSchema]);
  try {
    for await (const { answer, json } of followAgent(configOf(options), command, schema)) {
      if ('checked' in answer) {
        if (options.json === true) await terminal.out(`${JSON.stringify(json)}\n`);
        else await progress.show(`${answer.checked} blobs checked, ${sizeText(answer.bytes)}`);
        continue;
      }
      if (!('done' in answer)) exit = FOUND;
      await progress.clear();
      await terminal.out(options.json === true ? `${JSON.stringify(json)}\n` : lineText(answer));
    }
  } finally {
    await progress.clear();
  }
  return exit;
}

export function lineText(
  line: z.infer<typeof rottenSchema> | z.infer<typeof unreadSchema> | z.infer<typeof doneSchema>,
): string {
  if ('unread' in line) return `unread  ${printable(line.unread)}  cannot be read: ${printable(line.why)}\n`;
  if ('rotten' in line) {
    const what = line.mended ? 'and fetched again' : `and not fetched again: ${printable(line.why ?? '')}`;
    return `rotten  ${printable(line.rotten)}  dropped, ${what}\n`;
  }
  const { checked, bytes, rotten, mended, unread } = line.done;
  if (checked + unread === 0) return 'Nothing was due; --all checks everything.\n';
  const found = rotten === 0 ? 'all of them good' : `${rotten} rotten, ${mended} of these fetched again`;
  const rest = unread === 0 ? '' : `; ${unread} could not be read`;
  return `${checked} blobs checked, ${sizeText(bytes)}: ${found}${rest}.\n`;
}
