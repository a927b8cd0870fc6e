import type { Answer } from './question.ts';

/** So much of an answer that nobody wants is read. Bytes. */
const MAX_DISCARDED = 64 * 1024;

/** And for no longer than this. Milliseconds. */
const DISCARD_TIMEOUT = 500;

/** Reads the rest of an answer that is not wanted, so that its connection can be used again; a long rest closes it. */
export async function discard({ body }: Pick<Answer, 'body'>): Promise<void> {
  await body.dump({ limit: MAX_DISCARDED, signal: AbortSignal.timeout(DISCARD_TIMEOUT) }).catch(() => {});
}
