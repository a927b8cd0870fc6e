import { AgentError } from '../errors.ts';

/** How somebody takes a blob who wants more than its bytes. */
export interface Taking {
  /**
   * Whether it is wanted for the store's sake: then it fails with NOT_STORED where the store takes nothing in, instead of
   * going on without.
   * @default false
   */
  readonly intoStore?: boolean;
  /** Told of each piece: where it was for this request. */
  told?(source: 'store' | 'peer' | 'upstream', bytes: number): void;
}

/** For a client, who wants the bytes. */
export const JUST_BYTES: Taking = {};

/** What is told who wants something in the store. @param why as the store says it */
export function notStored(why: string, cause?: unknown): AgentError {
  return new AgentError('NOT_STORED', `not stored: ${why}`, { cause });
}
