import { AgentError } from '../../errors.ts';

/** Clients whose configuration `layerlan setup` knows. */
export const CLIENTS = ['docker', 'containerd', 'podman', 'buildkit', 'k3s'] as const;

export type Client = (typeof CLIENTS)[number];

/** What of a host's files a plan looks at; paths are absolute. */
export interface Tree {
  /** The content of a file; undefined where there is none. @throws AgentError SETUP_REFUSED, SETUP_UNWRITABLE */
  read(path: string): string | undefined;
  /** The names in a directory, sorted; none where there is no such directory. */
  list(path: string): readonly string[];
}

/** A registry that is to come through the mirror. */
export interface MirroredRegistry {
  /** As it stands in image references: `ghcr.io`, `registry.lan:5000`. */
  readonly name: string;
  /** Where the client goes itself when the mirror fails: `https://ghcr.io`. */
  readonly server: string;
}

/** What a client is to be told. */
export interface Wanted {
  /** Where clients reach the mirror, as `host:port`. */
  readonly mirror: string;
  readonly registries: readonly MirroredRegistry[];
  /** The client's major version; undefined where it is not known. */
  readonly version?: number | undefined;
  /** The home directory of a user whose own files are meant; undefined where the system's are. */
  readonly home?: string | undefined;
}

/** A file as it should be. */
export interface PlannedFile {
  readonly path: string;
  /** What is there; undefined where there is no file. */
  readonly before: string | undefined;
  /** What should be there; equal to `before` where nothing need be done. */
  readonly content: string;
}

/** What to do for one client. */
export interface Plan {
  readonly files: readonly PlannedFile[];
  /** The command after which a change counts; undefined where none is needed. */
  readonly restart?: string | undefined;
  /** What the client needs besides, and what it will not do. */
  readonly notes: readonly string[];
}

export function isChanged(file: PlannedFile): boolean {
  return file.before !== file.content;
}

/** What is thrown where adding to a file would lose or break what an operator wrote. */
export function refused(path: string, why: string): AgentError {
  return new AgentError('SETUP_REFUSED', `${path} ${why}; it was not touched`);
}
