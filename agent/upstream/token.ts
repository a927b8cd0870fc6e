import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { type Repository, repositoryText } from '../oci/reference.ts';
import { orAborted } from './abort.ts';
import type { BearerChallenge } from './challenge.ts';
import type { Endpoint } from './endpoint.ts';

/** A token's life where the answer names none (distribution's token specification). Seconds. */
const DEFAULT_LIFETIME = 60;

/** A token is not used in its last seconds: it must live through the request's way. Milliseconds. */
const MARGIN = 5000;

/** Tokens kept at once. */
const MAX_TOKENS = 1000;

// What a header can carry: anything else would make every later request fail.
const headerValue = z.string().regex(/^[\x21-\x7e]+$/);
const tokenAnswer = z.object({
  token: headerValue.optional(),
  access_token: headerValue.optional(),
  expires_in: z.number().positive().optional().catch(undefined),
  issued_at: z.string().optional().catch(undefined),
});

/** A token and when it ends. */
export interface Token {
  readonly value: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * The token in a token endpoint's answer, or undefined where there is none.
 * @param now when it was received, milliseconds since the epoch
 */
export function parseToken(body: Uint8Array, now: number): Token | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
  const answer = tokenAnswer.safeParse(parsed).data;
  const value = answer?.token ?? answer?.access_token;
  if (answer === undefined || value === undefined) return undefined;
  const issued = Date.parse(answer.issued_at ?? '');
  const lifetime = (answer.expires_in ?? DEFAULT_LIFETIME) * 1000;
  // A clock that differs from ours must neither lengthen a token's life nor end it before it began; where the guess is
  // wrong, the registry refuses the token and it is renewed.
  const isPlausible = issued <= now && now < issued + lifetime;
  return { value, expiresAt: (isPlausible ? issued : now) + lifetime };
}

/** Fetches a token as a challenge says. */
export type FetchToken = (
  endpoint: Endpoint,
  repository: Repository,
  challenge: BearerChallenge,
  signal: AbortSignal,
) => Promise<Token>;

/** Anonymous tokens, one for each endpoint and repository. */
export interface Tokens {
  /**
   * A token that should still be good. Where there is none the registry is asked without: it answers with the
   * challenge of the day, and shows that it can be reached before anybody waits for its token server.
   */
  current(endpoint: Endpoint, repository: Repository): string | undefined;
  /** A token for a challenge; never again the one that was refused. */
  renew(
    endpoint: Endpoint,
    repository: Repository,
    challenge: BearerChallenge,
    refused: string | undefined,
    signal: AbortSignal,
  ): Promise<string>;
}

interface Entry {
  token: Token | undefined;
  /** The one fetch that all who want this token share. */
  flight: Promise<string> | undefined;
}

/**
 * @param lifetime ends all fetches; one that nobody waits for any more is left to end by its own time-outs, since the
 *   next request will want the token
 * @param now milliseconds since the epoch
 */
export function createTokens(fetch: FetchToken, lifetime: AbortSignal, now: () => number = Date.now): Tokens {
  const entries = new LRUCache<string, Entry>({ max: MAX_TOKENS });
  const keyOf = (endpoint: Endpoint, repository: Repository): string =>
    `${endpoint.origin}${endpoint.prefix} ${repositoryText(repository)}`;
  const isGood = (token: Token | undefined): token is Token => token !== undefined && now() < token.expiresAt - MARGIN;

  const refresh = (
    endpoint: Endpoint,
    repository: Repository,
    challenge: BearerChallenge,
    entry: Entry,
  ): Promise<string> => {
    if (entry.flight !== undefined) return entry.flight;
    const flight = fetch(endpoint, repository, challenge, lifetime)
      .then((token) => {
        entry.token = token;
        return token.value;
      })
      .finally(() => {
        entry.flight = undefined;
      });
    // All who waited may have left.
    flight.catch(() => {});
    entry.flight = flight;
    return flight;
  };

  return {
    current(endpoint, repository) {
      const token = entries.get(keyOf(endpoint, repository))?.token;
      return isGood(token) ? token.value : undefined;
    },
    async renew(endpoint, repository, challenge, refused, signal) {
      const key = keyOf(endpoint, repository);
      const entry: Entry = entries.get(key) ?? { token: undefined, flight: undefined };
      entries.set(key, entry);
      if (isGood(entry.token) && entry.token.value !== refused) return entry.token.value;
      return orAborted(refresh(endpoint, repository, challenge, entry), signal);
    },
  };
}
