import { AgentError, isAgentError } from '../errors.ts';

/** The code of an error of the system or of SQLite; undefined for all that were thrown for another reason. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || isAgentError(error)) return undefined;
  const { code, errno, errcode } = error as NodeJS.ErrnoException & { errcode?: number };
  if (typeof errcode === 'number') return `SQLite ${errcode}`;
  return typeof errno === 'number' ? code : undefined;
}

/** The system's and SQLite's errors as STORE_FAILING; any other as it is. */
export function asFailing(what: 'read' | 'written', error: unknown): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const reason = `the store cannot be ${what} (${code})`;
  return new AgentError('STORE_FAILING', `${reason}: ${(error as Error).message}`, { cause: error });
}
