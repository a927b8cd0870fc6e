import { hash } from 'node:crypto';
import { AgentError, isAgentError } from '../../errors.ts';

/** Where a registry's credentials come from, as the configuration says it. */
export type CredentialSpec =
  | { readonly kind: 'docker-config' }
  | { readonly kind: 'podman-auth' }
  | { readonly kind: 'password-file'; readonly username: string; readonly passwordFile: string }
  | { readonly kind: 'password-env'; readonly username: string; readonly passwordEnv: string };

/** What a registry or its token server is shown. */
export type Secret =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** Exchanged for access tokens (distribution's OAuth 2 token authentication); no registry takes it as it is. */
  | { readonly kind: 'identity-token'; readonly token: string };

export interface Credential {
  /** Equal for equal secrets, and nobody's secret. For keys in memory; not for logs. */
  readonly id: string;
  readonly secret: Secret;
}

/** What credentials are wanted for. */
export interface CredentialQuery {
  /** The names the registry may be kept under, best first: its endpoint's `host[:port]`, its own name. */
  readonly servers: readonly string[];
  /** The repository's name: podman keeps credentials by namespace too. */
  readonly repository: string;
  /** One that was refused: an answer kept from an earlier question will not do, unless it is very young. */
  readonly refused?: Credential | undefined;
}

/**
 * Where credentials lie. What may change while the agent runs is read when it is asked for, so that a new secret is
 * seen by the next question.
 */
export interface CredentialSource {
  /** @throws AgentError CREDENTIALS_UNUSABLE, which names the file, variable or helper, and never what is in it */
  find(query: CredentialQuery, signal: AbortSignal): Promise<Credential>;
}

/** What sources look at beside the configuration. */
export interface CredentialSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly uid: number;
}

/** Docker Hub's names; Docker keeps its credentials under the last. */
export const HUB_NAMES = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];
export const HUB_KEY = 'https://index.docker.io/v1/';

export function credentialOf(secret: Secret): Credential {
  return { id: hash('sha256', JSON.stringify(secret)), secret };
}

/**
 * No cause goes with it: what a JSON parser or a child process says of its failure may quote the secret.
 * @param what which source, and what is wrong with it
 */
export function unusable(what: string): AgentError {
  return new AgentError('CREDENTIALS_UNUSABLE', what);
}

/**
 * The credential that one of `servers` is kept under. What is wrong with a name does not end the search: a helper fails
 * for a registry that it does not know, and the login may be under the next.
 * @param find undefined where there is none
 * @returns undefined where none of them has one
 * @throws AgentError CREDENTIALS_UNUSABLE: the first failure, where none of them has one; what else `find` throws
 */
export async function firstOf(
  servers: readonly string[],
  find: (server: string) => Promise<Credential | undefined>,
): Promise<Credential | undefined> {
  let failure: AgentError | undefined;
  for (const server of servers) {
    try {
      const credential = await find(server);
      if (credential !== undefined) return credential;
    } catch (error) {
      if (!isAgentError(error, 'CREDENTIALS_UNUSABLE')) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}
