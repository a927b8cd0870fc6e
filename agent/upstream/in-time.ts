import { AgentError } from '../errors.ts';

/**
 * Gives a question to upstream an end of its own: each step of it has one, and a server that is slow at every step
 * could add them up to minutes.
 * @param answerTimeout milliseconds
 * @throws what `question` throws; AgentError UPSTREAM_STALLED where it is not answered in time
 */
export async function inTime<T>(
  registry: string,
  answerTimeout: number,
  signals: readonly AbortSignal[],
  question: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new AgentError('UPSTREAM_STALLED', `${registry} did not answer within ${answerTimeout} ms`));
  }, answerTimeout);
  try {
    return await question(AbortSignal.any([...signals, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}
