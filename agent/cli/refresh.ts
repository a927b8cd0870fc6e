import { z } from 'zod';
import { AgentError, ERRORS, type ErrorCode } from '../errors.ts';
import { imageText, parseImage } from '../oci/image.ts';
import { ask, parsed } from './ask.ts';
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

/** An error as the agent tells it (OCI distribution spec, "Error codes"). */
const problemSchema = z.object({
  errors: z.tuple([z.object({ message: z.string(), detail: z.object({ error: z.string() }).nullable() })]),
});

type Refreshed = z.infer<typeof refreshedSchema>;

/**
 * `layerlan refresh IMAGE`: has the running agent look at the tag upstream now.
 * @throws AgentError IMAGE_INVALID, CONFIG_…, AGENT_NOT_RUNNING; what upstream answers, by the agent's word
 */
export async function refresh(image: string, options: QueryOptions, terminal: Terminal): Promise<void> {
  const wanted = imageText(parseImage(image));
  const path = `/agent/refresh?image=${encodeURIComponent(wanted)}`;
  const { address, status, text } = await ask(configOf(options), 'POST', path, TIMEOUT);
  const json = parsed(text);
  const refreshed = refreshedSchema.safeParse(json);
  if (status === 200 && refreshed.success) {
    const shown =
      options.json === true ? `${JSON.stringify(json, null, 2)}\n` : refreshedText(refreshed.data, Date.now());
    return await terminal.out(shown);
  }
  const [problem] = problemSchema.safeParse(json).data?.errors ?? [];
  const code = problem?.detail?.error;
  if (problem !== undefined && isCode(code) && code !== 'ROUTE_UNKNOWN') {
    throw new AgentError(code, `${wanted}: ${printable(problem.message)}`);
  }
  const why = problem === undefined ? 'is no layerlan agent' : `cannot refresh a tag: ${printable(problem.message)}`;
  throw new AgentError('AGENT_NOT_RUNNING', `what answers at ${address} ${why} (${status})`);
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

function isCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(ERRORS, code);
}
