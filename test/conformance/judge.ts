import type { Case } from './case.ts';
import type { Target } from './target.ts';

/** A case that takes longer has failed. Milliseconds. */
const PATIENCE = 60_000;

/** What came of one case on one target. */
export interface Verdict {
  readonly passed: boolean;
  /** What the table says. */
  readonly text: string;
  /** Why it failed, in full. */
  readonly why: string | undefined;
}

/**
 * Runs one case. A registry that is known to differ must: where it does not, the case would pass whatever is asked of it,
 * or what is said of that registry is no longer so.
 */
export async function judge(one: Case, target: Target): Promise<Verdict> {
  const failure = await failureOf(one, target);
  const differs = target.name === 'distribution' ? one.differs : undefined;
  if (differs === undefined) {
    return { passed: failure === undefined, text: failure === undefined ? 'ok' : 'FAILED', why: failure };
  }
  if (failure !== undefined && differs.seen.test(failure)) return { passed: true, text: 'differs', why: undefined };
  const instead = failure === undefined ? 'it does not' : `it fails otherwise: ${failure}`;
  return { passed: false, text: 'FAILED', why: `expected to differ, because ${differs.because}; ${instead}` };
}

async function failureOf(one: Case, target: Target): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${PATIENCE} ms`)), PATIENCE);
  });
  try {
    await Promise.race([one.run(target), late]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
