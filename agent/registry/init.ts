import type { Logger } from 'pino';
import type { Admission } from './admission.ts';
import type { Content } from './ports.ts';

/** What answers under `/v2/` work with. */
export interface ServeComponents {
  readonly logger: Logger;
  readonly content: Content;
}

/** How they are set. */
export interface ServeInit {
  /** Milliseconds. */
  readonly clientStallTimeout: number;
  /** Throws where a repository may not be pulled. */
  readonly admit: Admission;
  /** Fires when the mirror closes for good: bodies on their way end short. */
  readonly closing: AbortSignal;
}
