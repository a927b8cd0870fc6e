import { AgentError } from '../errors.ts';

/** What `work` resolves with. @throws AgentError STORE_FAILING where a file call or SQLite failed; else what it throws */
export async function orFailing<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw asFailing(what, error);
  }
}

/** The system's and SQLite's errors as STORE_FAILING; any other as it is. */
export function asFailing(what: string, error: unknown): unknown {
  const why = reasonOf(error);
  return why === undefined
    ? error
    : new AgentError('STORE_FAILING', `the store cannot ${what}: ${why}`, { cause: error });
}

function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, syscall, errstr } = error as NodeJS.ErrnoException & { errstr?: string };
  // SQLite's code is the same for all of its errors; what it says is `database or disk is full` and the like.
  if (code === 'ERR_SQLITE_ERROR') return errstr ?? error.message;
  return syscall === undefined ? undefined : code;
}
