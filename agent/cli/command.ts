import { z } from 'zod';
import type { Config } from '../config/load.ts';
import { AgentError, ERRORS, type ErrorCode } from '../errors.ts';
import { ask, askLines, parsed } from './ask.ts';
import { printable } from './printable.ts';

/** The agent sends something every 5 s while it works on a command. Milliseconds. */
const SILENCE = 30_000;

/** An error as the agent tells it (OCI distribution spec, "Error codes"). */
const problemSchema = z.object({
  errors: z.tuple([z.object({ message: z.string(), detail: z.object({ error: z.string() }).nullable() })]),
});

/** Something that the running agent is to do, answered under `/agent/`. */
export interface Command {
  readonly name: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** For an agent that does not know it: `refresh a tag`. */
  readonly what: string;
  /** What an error is about: an image, a digest. */
  readonly about?: string;
}

/** What the agent said, and as it came: an agent of another version may say more. */
export interface Said<Answer> {
  readonly answer: Answer;
  readonly json: unknown;
}

/**
 * Has the running agent do something that is done at once.
 * @param timeout milliseconds
 * @throws AgentError AGENT_NOT_RUNNING; what the agent says
 */
export async function askAgent<Answer>(
  config: Config,
  command: Command,
  schema: z.ZodType<Answer>,
  timeout: number,
): Promise<Said<Answer>> {
  const { address, status, text } = await ask(config, 'POST', pathOf(command), timeout);
  const json = parsed(text);
  const answer = schema.safeParse(json);
  if (status === 200 && answer.success) return { answer: answer.data, json };
  throw failed(command, address, status, json);
}

/**
 * Has the running agent do something that may take long, and gives what it says of it line by line.
 * @throws AgentError AGENT_NOT_RUNNING; what the agent says, also in the middle
 */
export async function* followAgent<Answer>(
  config: Config,
  command: Command,
  schema: z.ZodType<Answer>,
): AsyncGenerator<Said<Answer>, void> {
  const { address, status, lines } = await askLines(config, pathOf(command), SILENCE);
  for await (const line of lines) {
    const json = parsed(line);
    const answer = schema.safeParse(json);
    if (status !== 200 || !answer.success) throw failed(command, address, status, json);
    yield { answer: answer.data, json };
  }
  // A refusal without a word is not an agent that has nothing to say.
  if (status !== 200) throw failed(command, address, status, undefined);
}

/** Where the agent is asked it. */
export function pathOf({ name, parameters }: Command): string {
  const query = new URLSearchParams(parameters).toString();
  return `/agent/${name}${query === '' ? '' : `?${query}`}`;
}

/** What ends a command whose answer is none. @param json what came in its place */
export function failed(
  { what, about }: Pick<Command, 'what' | 'about'>,
  address: string,
  status: number,
  json: unknown,
): AgentError {
  const [problem] = problemSchema.safeParse(json).data?.errors ?? [];
  const code = problem?.detail?.error;
  // An agent of an earlier version knows nothing of the command.
  const isUnknown = code === 'ROUTE_UNKNOWN' || code === 'UNSUPPORTED';
  if (problem !== undefined && isCode(code) && !isUnknown) {
    const message = printable(problem.message);
    return new AgentError(code, about === undefined ? message : `${about}: ${message}`);
  }
  const why = problem === undefined ? 'is no layerlan agent' : `cannot ${what}: ${printable(problem.message)}`;
  return new AgentError('AGENT_NOT_RUNNING', `what answers at ${address} ${why} (${status})`);
}

function isCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(ERRORS, code);
}
