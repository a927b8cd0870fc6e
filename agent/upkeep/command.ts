import type { Repository } from '../oci/reference.ts';

/** What a command was asked; agent/registry/ports.ts has the contract. */
export interface CommandRequest {
  one(name: string): string;
  optional(name: string): string | undefined;
  flag(name: string): boolean;
  readonly admit: (repository: Repository) => void;
  readonly signal: AbortSignal;
}

/** Answers with one JSON value, or with JSON lines as they come. */
export type Command = (request: CommandRequest) => Promise<object> | AsyncIterable<object>;
