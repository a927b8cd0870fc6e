import { AgentError, ERRORS, type ErrorCode } from '../errors.ts';

/** What a client is told of an error: a status and a body (OCI distribution spec, "Error codes"). */
export interface Problem {
  readonly status: number;
  readonly body: Buffer;
  /** Whether it is the agent's own fault: then the log must say more than the client learns. */
  readonly unexpected: boolean;
}

/** What the kernel refused the agent, where the client's user is better told than sent to a log. */
const REFUSED_BY_KERNEL: Readonly<Record<string, string>> = {
  ENOSPC: 'its disk is full',
  EDQUOT: 'its disk quota is used up',
  EROFS: 'its disk is read-only',
  EIO: 'its disk has errors',
  EMFILE: 'it has too many files open',
  ENFILE: 'the machine has too many files open',
};

/** The answer to a request that failed with `error`. Only messages of errors thrown on purpose leave the process. */
export function problemOf(error: unknown): Problem {
  const entry: { status?: number; oci?: string; means: string } | undefined =
    error instanceof AgentError ? ERRORS[error.code] : undefined;
  if (error instanceof AgentError && entry?.status !== undefined && entry.oci !== undefined) {
    const body = bodyOf(entry.oci, error.message, { error: error.code, means: entry.means });
    return { status: entry.status, body, unexpected: false };
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const why = Object.hasOwn(REFUSED_BY_KERNEL, code) ? `: ${REFUSED_BY_KERNEL[code]}` : '; its log says more';
  return { status: 500, body: bodyOf('UNKNOWN', `The agent failed${why}.`, null), unexpected: true };
}

function bodyOf(code: string, message: string, detail: { error: ErrorCode; means: string } | null): Buffer {
  return Buffer.from(`${JSON.stringify({ errors: [{ code, message, detail }] })}\n`);
}
