import type { CommandResult } from '../commands.ts';
import type { Space } from '../network.ts';

/** How long a pull may take. Milliseconds. */
export const PULL_TIMEOUT = 100_000;

/** A name as images have it: registry, repository and tag. */
export interface ImageName {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** A real program that pulls images, set up as its users are told to. */
export interface Client {
  pull(name: ImageName): Promise<CommandResult>;
  /** The digest of the configuration of an image that was pulled, which covers every layer. */
  imageId(name: ImageName): Promise<string>;
  stop(): Promise<void>;
}

export interface ClientInit {
  /** Where it runs. */
  readonly space: Space;
  /** A directory for what it keeps; short, for its sockets' sake. */
  readonly dir: string;
  /** A file for what it says, where it is a daemon. */
  readonly log: string;
  /** `host:port` of the agent. */
  readonly mirror: string;
  /** The registries that go through the agent. */
  readonly registries: readonly string[];
}

/** Sets a client up, and starts its daemon where it has one. */
export type StartClient = (init: ClientInit) => Promise<Client>;

export function nameText({ registry, repository, tag }: ImageName): string {
  return `${registry}/${repository}:${tag}`;
}
