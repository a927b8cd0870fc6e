import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { type Repository, repositoryText } from '../oci/reference.ts';
import { orAborted } from './abort.ts';
import type { BearerChallenge } from './challenge.ts';
import type { Credential } from './credentials/source.ts';
import type { Endpoint } from './endpoint.ts';

/** A token's life where the answer names none (distribution's token specification). Seconds. */
const DEFAULT_LIFETIME = 60;

/** A token is not used in its last seconds: it must live through the request's way. Milliseconds. */
const MARGIN = 5000;

/** No token is used for longer, whatever its server says: so long a credential that was taken away may still count. Milliseconds. */
const MAX_LIFETIME = 3_600_000;

/** A token that is used in this last part of the time it counts is renewed behind the request, so that none waits for the next. */
const EARLY = 0.2;

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

/** A token and how long it counts from when it came. */
export interface Token {
  readonly value: string;
  /** Milliseconds. */
  readonly lifetime: number;
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
  return { value, lifetime: isPlausible ? issued + lifetime - now : lifetime };
}

/** What a token is fetched for. */
export interface TokenQuery {
  readonly endpoint: Endpoint;
  readonly repository: Repository;
  readonly challenge: BearerChallenge;
  /** What the token server is shown; undefined for an anonymous token. */
  readonly credential: Credential | undefined;
}

/** Fetches a token as a challenge says. */
export type FetchToken = (query: TokenQuery, signal: AbortSignal) => Promise<Token>;

/** A token that is kept. */
export interface HeldToken {
  readonly value: string;
  readonly challenge: BearerChallenge;
  /** What it was given for; undefined where it is anonymous. */
  readonly credential: Credential | undefined;
  /** Whether it is time to see to the next; said once of a token. */
  readonly isDue: boolean;
}

/** Tokens, one for each endpoint and repository; one that was given for a credential is never used for another. */
export interface Tokens {
  /**
   * A token that should still be good. Where there is none the registry is asked without: it answers with the
   * challenge of the day, and shows that it can be reached before anybody waits for its token server.
   */
  current(endpoint: Endpoint, repository: Repository): HeldToken | undefined;
  /** A token that was not enough: what comes next asks for another, which may be worth more by then. */
  drop(endpoint: Endpoint, repository: Repository, token: string): void;
  /** A token for a challenge; never again the one that was refused, or that is to be replaced. */
  renew(query: TokenQuery, refused: string | undefined, signal: AbortSignal): Promise<string>;
}

interface Entry {
  readonly credential: Credential | undefined;
  readonly challenge: BearerChallenge;
  token: { readonly value: string; readonly expiresAt: number } | undefined;
  /** As `expiresAt` on the clock of {@link createTokens}. */
  dueAt: number;
  /** The one fetch that all who want this token share. */
  flight: Promise<string> | undefined;
}

/**
 * @param lifetime ends all fetches; one that nobody waits for any more is left to end by its own time-outs, since the
 *   next request will want the token
 * @param now milliseconds, never going back: by a clock that is put back a token would count for longer than it may
 */
export function createTokens(
  fetch: FetchToken,
  lifetime: AbortSignal,
  now: () => number = () => performance.now(),
): Tokens {
  const entries = new LRUCache<string, Entry>({ max: MAX_TOKENS });
  const keyOf = ({ endpoint, repository }: Pick<TokenQuery, 'endpoint' | 'repository'>): string =>
    `${endpoint.origin}${endpoint.prefix} ${repositoryText(repository)}`;
  const isGood = (token: Entry['token']): token is NonNullable<Entry['token']> =>
    token !== undefined && now() < token.expiresAt - MARGIN;

  const refresh = (query: TokenQuery, entry: Entry): Promise<string> => {
    if (entry.flight !== undefined) return entry.flight;
    const flight = fetch(query, lifetime)
      .then((token) => {
        const left = Math.min(token.lifetime, MAX_LIFETIME);
        const expiresAt = now() + left;
        entry.token = { value: token.value, expiresAt };
        entry.dueAt = expiresAt - MARGIN - Math.max(0, left - MARGIN) * EARLY;
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
      const entry = entries.get(keyOf({ endpoint, repository }));
      if (entry === undefined || !isGood(entry.token)) return undefined;
      const isDue = now() >= entry.dueAt;
      // Once: where that fails, it is renewed when it has ended.
      if (isDue) entry.dueAt = Number.POSITIVE_INFINITY;
      return { value: entry.token.value, challenge: entry.challenge, credential: entry.credential, isDue };
    },
    drop(endpoint, repository, token) {
      const entry = entries.get(keyOf({ endpoint, repository }));
      if (entry?.token?.value === token) entry.token = undefined;
    },
    async renew(query, refused, signal) {
      const key = keyOf(query);
      const known = entries.get(key);
      const { challenge, credential } = query;
      const isSame = known !== undefined && known.credential?.id === credential?.id;
      const entry = isSame ? known : { credential, challenge, token: undefined, dueAt: 0, flight: undefined };
      entries.set(key, entry);
      if (isGood(entry.token) && entry.token.value !== refused) return entry.token.value;
      return orAborted(refresh(query, entry), signal);
    },
  };
}
