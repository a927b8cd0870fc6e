import type { Dispatcher } from 'undici';
import type { Repository } from '../oci/reference.ts';
import type { Resource } from './endpoint.ts';
import type { Lane } from './transport.ts';

/** What is asked of a registry. */
export interface Question {
  readonly repository: Repository;
  readonly resource: Resource;
  readonly method: 'GET' | 'HEAD';
  readonly headers: Readonly<Record<string, string>>;
  readonly lane: Lane;
  /** How many endpoints to begin further down: one whose bodies keep breaking is not always asked first. */
  readonly skip?: number;
}

/** An answer with content, and the host it came from. */
export interface Answer extends Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'> {
  readonly host: string;
  /** Whether it was given to whoever has the configured credentials, and so perhaps to nobody else. */
  readonly withCredentials: boolean;
}

/** Asks one endpoint after the other until one has an answer of 200, 206 or 416. */
export type Ask = (question: Question, signal: AbortSignal) => Promise<Answer>;
