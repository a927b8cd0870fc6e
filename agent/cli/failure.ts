import { AgentError, ERRORS } from '../errors.ts';

/** Exit code of a failure that the table of errors gives none for. */
const UNEXPECTED = 1;

/** Exit code of a command that was given wrongly. */
export const USAGE = 2;

/** What ends a command that failed: one line for stderr, with no stack trace, and an exit code. */
export function failureOf(error: unknown): { line: string; exit: number } {
  const entry: { exit?: number; means: string } | undefined =
    error instanceof AgentError ? ERRORS[error.code] : undefined;
  const message = error instanceof Error ? error.message || error.name : String(error);
  return { line: `layerlan: ${message.replace(/\s*\n\s*/g, ' ')}\n`, exit: entry?.exit ?? UNEXPECTED };
}
