import { LRUCache } from 'lru-cache';
import { AgentError, isAgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import { basicHeader } from './basic.ts';
import { type BearerChallenge, bearerChallenge, hasBasicChallenge } from './challenge.ts';
import type { Found, Lookup } from './credentials/lookup.ts';
import type { Credential } from './credentials/source.ts';
import type { Endpoint } from './endpoint.ts';
import { type Refusals, refusedError } from './refusals.ts';
import type { Tokens } from './token.ts';

/** Endpoints known to want Basic: they are shown it at once, and each request need not be refused first. */
const MAX_BASIC = 256;

/** What a request is sent with. */
export interface Authorization {
  readonly scheme: 'basic' | 'bearer';
  /** Of the scheme: what follows its name is secret. */
  readonly header: string;
  /** What it rests on; undefined for an anonymous token. */
  readonly credential: Credential | undefined;
}

/** What requests to registries are sent with. All throw the signal's reason, and what tokens and exchange throw. */
export interface Authorizer {
  /** What to send without having been asked; undefined for nothing. */
  current(endpoint: Endpoint, repository: Repository, signal: AbortSignal): Promise<Authorization | undefined>;
  /**
   * What to send after a 401; undefined where there is nothing that could help.
   * @param challenges its WWW-Authenticate
   * @param sent what was refused
   * @throws AgentError UPSTREAM_DENIED where the credentials were refused
   */
  meet(
    endpoint: Endpoint,
    repository: Repository,
    challenges: string | readonly string[] | undefined,
    sent: Authorization | undefined,
    signal: AbortSignal,
  ): Promise<Authorization | undefined>;
  /**
   * The same by a changed credential, where there is one: ECR tells by a 403 that a password has ended.
   */
  replace(
    endpoint: Endpoint,
    repository: Repository,
    sent: Authorization,
    signal: AbortSignal,
  ): Promise<Authorization | undefined>;
  /** The error for what is denied to whoever came with `sent`; a token that was not enough is used no more. */
  denied(
    endpoint: Endpoint,
    repository: Repository,
    what: string,
    sent: Authorization | undefined,
    signal: AbortSignal,
  ): Promise<AgentError>;
}

export function createAuthorizer(
  lookup: Lookup,
  tokens: Tokens,
  refusals: Refusals,
  lifetime: AbortSignal,
): Authorizer {
  const basic = new LRUCache<string, true>({ max: MAX_BASIC });
  const keyOf = (endpoint: Endpoint): string => `${endpoint.origin}${endpoint.prefix}`;

  const bearer = async (
    endpoint: Endpoint,
    repository: Repository,
    challenge: BearerChallenge,
    found: Found,
    refused: string | undefined,
    signal: AbortSignal,
  ): Promise<Authorization> => {
    let { credential } = found;
    let token: string;
    try {
      token = await tokens.renew({ endpoint, repository, challenge, credential }, refused, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!isAgentError(error, 'UPSTREAM_DENIED')) throw error;
      if (credential === undefined) throw explained(error, found);
      // A helper's answer that was kept may have ended meanwhile.
      const other = await lookup(endpoint, repository, credential, signal);
      if (other.credential === undefined || other.credential.id === credential.id) throw error;
      credential = other.credential;
      token = await tokens.renew({ endpoint, repository, challenge, credential }, refused, signal);
    }
    return { scheme: 'bearer', header: `Bearer ${token}`, credential };
  };

  const basicOf = (endpoint: Endpoint, repository: Repository, credential: Credential): Authorization => {
    const { host } = new URL(endpoint.origin);
    const left = refusals.remaining({ endpoint, credential });
    if (left > 0) throw refusedError(host, repository, left);
    const { secret } = credential;
    if (secret.kind !== 'password') {
      throw new AgentError(
        'UPSTREAM_DENIED',
        `${host} wants a user and a password; what is configured for ${repository.registry} is an identity token`,
      );
    }
    basic.set(keyOf(endpoint), true);
    return { scheme: 'basic', header: basicHeader(secret), credential };
  };

  return {
    async current(endpoint, repository, signal) {
      const held = tokens.current(endpoint, repository);
      if (held !== undefined) {
        const { value, challenge, credential, isDue } = held;
        if (isDue) {
          // Behind the request: who fails to renew what is still good does no harm.
          lookup(endpoint, repository, undefined, lifetime)
            .then(async (found) => {
              // What still counts is not given up for an anonymous token.
              if (found.problem === undefined) await bearer(endpoint, repository, challenge, found, value, lifetime);
            })
            .catch(() => {});
        }
        return { scheme: 'bearer', header: `Bearer ${value}`, credential };
      }
      if (!basic.has(keyOf(endpoint))) return undefined;
      const { credential } = await lookup(endpoint, repository, undefined, signal);
      return credential === undefined ? undefined : basicOf(endpoint, repository, credential);
    },
    async meet(endpoint, repository, challenges, sent, signal) {
      const challenge = bearerChallenge(challenges);
      if (challenge !== undefined) {
        const found = await lookup(endpoint, repository, undefined, signal);
        const refused = sent?.scheme === 'bearer' ? tokenOf(sent) : undefined;
        return bearer(endpoint, repository, challenge, found, refused, signal);
      }
      if (!hasBasicChallenge(challenges)) return undefined;
      const refused = sent?.scheme === 'basic' ? sent.credential : undefined;
      const { credential } = await lookup(endpoint, repository, refused, signal);
      if (credential === undefined) return undefined;
      if (refused?.id === credential.id) {
        refusals.note({ endpoint, credential });
        // What it gives to anybody is not to be asked for with a wrong password.
        basic.delete(keyOf(endpoint));
        throw refusedError(new URL(endpoint.origin).host, repository, 0);
      }
      return basicOf(endpoint, repository, credential);
    },
    async replace(endpoint, repository, sent, signal) {
      if (sent.scheme !== 'basic') return undefined;
      const { credential } = await lookup(endpoint, repository, sent.credential, signal);
      const isOther = credential !== undefined && credential.id !== sent.credential?.id;
      return isOther ? basicOf(endpoint, repository, credential) : undefined;
    },
    async denied(endpoint, repository, what, sent, signal) {
      if (sent?.scheme === 'bearer') tokens.drop(endpoint, repository, tokenOf(sent));
      const { host } = new URL(endpoint.origin);
      if (sent?.credential !== undefined) {
        const { registry } = repository;
        return new AgentError(
          'UPSTREAM_DENIED',
          `${host} refuses ${what} to the credentials configured for ${registry}`,
        );
      }
      const found = await lookup(endpoint, repository, undefined, signal);
      return explained(new AgentError('UPSTREAM_DENIED', `${host} refuses ${what} to anonymous clients`), found);
    },
  };
}

function tokenOf({ header }: Authorization): string {
  return header.slice('Bearer '.length);
}

/** Whoever configured credentials is told why they did not help. */
function explained(error: AgentError, { problem }: Found): AgentError {
  if (problem === undefined) return error;
  return new AgentError(
    'UPSTREAM_DENIED',
    `${error.message}; the configured credentials cannot be used: ${problem.message}`,
  );
}
