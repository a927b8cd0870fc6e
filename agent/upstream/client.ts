import type { Logger } from 'pino';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError } from '../errors.ts';
import { type Throttle, UNLIMITED } from '../limits/throttle.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Repository } from '../oci/reference.ts';
import { type AnonymousClient, createAnonymous, registriesThemselves } from './anonymous.ts';
import { createAsk } from './ask.ts';
import { createAskEndpoint } from './ask-endpoint.ts';
import { createAuthorizer } from './authorizer.ts';
import { type BlobAnswer, blobQuestion, headBlob, readBlobAnswer } from './blob-answer.ts';
import { blobBody } from './body.ts';
import { createLookup } from './credentials/lookup.ts';
import { sourcesOf } from './credentials/sources.ts';
import { resourceText } from './endpoint.ts';
import { createExchange } from './exchange.ts';
import { createFetchToken } from './fetch-token.ts';
import { inTime } from './in-time.ts';
import { listReferrers, listTags, type ReferrersPage, type TagsPage } from './listing.ts';
import { getManifest, headManifest, type ManifestBody, type ManifestHead } from './manifest.ts';
import { type UpstreamInit, upstreamOptions } from './options.ts';
import { createPreference } from './preference.ts';
import { createRateLimits, type RateLimit } from './rate-limit.ts';
import { createLostOrigins } from './reach.ts';
import { createRefusals } from './refusals.ts';
import { createTokens } from './token.ts';
import { createTransports } from './transports.ts';

export interface UpstreamComponents {
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'upstreamBytes' | 'upstreamRateLimit' | 'upstreamRateRemaining'>;
  /** Holds back what is taken of blobs; manifests are small and go free. @default no limit */
  readonly throttle?: Throttle;
}

/** A blob that is being sent. */
export interface UpstreamBlob {
  /** Size of the whole blob; undefined where the registry does not say. Bytes. */
  readonly size: number | undefined;
  /** Whether the part came that was asked for; false where the registry sends everything from the start, every time. */
  readonly isRanged: boolean;
  /** Whether any of it so far came with credentials: a body that is resumed may be another answer's. */
  readonly withCredentials: boolean;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * The registries behind the mirror. All throw the signal's reason where it fires; else AgentError UPSTREAM_DENIED,
 * UPSTREAM_RATE_LIMITED, UPSTREAM_UNREACHABLE, UPSTREAM_STALLED or UPSTREAM_FAILED, and MANIFEST_UNKNOWN,
 * NAME_UNKNOWN or BLOB_UNKNOWN.
 */
export interface UpstreamClient {
  headManifest(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<ManifestHead>;
  getManifest(
    repository: Repository,
    reference: string,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<ManifestBody>;
  headBlob(repository: Repository, digest: Digest, signal: AbortSignal): Promise<{ size: number }>;
  /**
   * From byte `offset` to the end, or to before `end`. The caller iterates the body, or ends it by `signal`; one that is
   * iterated to its own end leaves the connection for the next part.
   */
  getBlob(
    repository: Repository,
    digest: Digest,
    offset: number,
    signal: AbortSignal,
    end?: number,
  ): Promise<UpstreamBlob>;
  listTags(repository: Repository, query: string, signal: AbortSignal): Promise<TagsPage>;
  listReferrers(repository: Repository, digest: Digest, query: string, signal: AbortSignal): Promise<ReferrersPage>;
  /**
   * Whether what this repository's registry answers may be for those alone who have the configured credentials. Known
   * before anything is asked; `withCredentials` tells of one answer.
   */
  mayBePrivate(repository: Repository): boolean;
  /** The same registries without any credentials; its answers count for no rate limit, and are of none. */
  readonly anonymous: AnonymousClient;
  /** What registries last said of their limits on us. */
  rateLimits(): RateLimit[];
  /** Ends all requests and sockets. */
  close(): Promise<void>;
}

/** A client of registries; the caller closes it. */
export function createUpstream(
  { logger, metrics, throttle = UNLIMITED }: UpstreamComponents,
  init: UpstreamInit = {},
): UpstreamClient {
  const options = upstreamOptions(init);
  const lifetime = new AbortController();
  const transports = createTransports(options);
  const exchange = createExchange(createLostOrigins(options.unreachableFor), options);
  const refusals = createRefusals();
  const fetchToken = createFetchToken(exchange, transports.to, refusals, options.stallTimeout);
  const tokens = createTokens(fetchToken, lifetime.signal);
  const lookup = createLookup(sourcesOf(options, lifetime.signal), logger);
  const authorizer = createAuthorizer(lookup, tokens, refusals, lifetime.signal);
  const rates = createRateLimits(metrics);
  const ask = createAsk(
    createAskEndpoint({ exchange, authorizer, rates, transportTo: transports.to }),
    createPreference(options.avoidFor),
    options.registries,
    logger,
  );
  const askAnonymously = createAsk(
    createAskEndpoint({
      exchange,
      // Tokens of its own: one that rests on credentials must not open what is asked for without.
      authorizer: createAuthorizer(
        createLookup(new Map(), logger),
        createTokens(fetchToken, lifetime.signal),
        refusals,
        lifetime.signal,
      ),
      // What a registry allows to nobody in particular is not what it allows to us.
      rates: { heard: () => {} },
      transportTo: transports.to,
    }),
    createPreference(options.avoidFor),
    registriesThemselves(options.registries),
    logger,
  );
  const received = (bytes: number): void => metrics.upstreamBytes.inc(bytes);
  const untilClosed = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, lifetime.signal]);
  const short = <T>({ registry }: Repository, signal: AbortSignal, question: (signal: AbortSignal) => Promise<T>) =>
    inTime(registry, options.answerTimeout, [signal, lifetime.signal], question);

  return {
    headManifest: (repository, reference, accept, signal) =>
      short(repository, signal, (inner) => headManifest(ask, repository, reference, accept, inner)),
    getManifest: (repository, reference, accept, signal) =>
      short(repository, signal, (inner) =>
        getManifest(ask, repository, reference, accept, options.stallTimeout, received, inner),
      ),
    headBlob: (repository, digest, signal) =>
      short(repository, signal, (inner) => headBlob(ask, repository, digest, inner)),
    async getBlob(repository, digest, offset, callers, end) {
      const signal = untilClosed(callers);
      let withCredentials = false;
      const open = async (from: number, row: number, within: AbortSignal): Promise<BlobAnswer> => {
        // A registry without Range may break behind the end: what is left then has the blob's.
        const last = end === undefined || end <= from ? '' : end - 1;
        const range = from === 0 && last === '' ? undefined : `bytes=${from}-${last}`;
        // The endpoint whose body broke once is asked again; one that goes on breaking makes way for the next.
        const answer = await ask(blobQuestion('GET', repository, digest, range, Math.max(0, row - 1)), within);
        withCredentials ||= answer.withCredentials;
        try {
          return readBlobAnswer(answer, from);
        } catch (error) {
          answer.body.destroy();
          throw error;
        }
      };
      const opened = await open(offset, 0, signal);
      const what = resourceText(repository, { kind: 'blob', reference: digest });
      if (opened.size !== undefined && offset > opened.size) {
        opened.answer.body.destroy();
        throw new AgentError('UPSTREAM_FAILED', `${what} ends before byte ${offset}`);
      }
      const { stallTimeout } = options;
      const body = blobBody(
        { reopen: open, received, throttle, logger },
        { what, offset, end, opened, stallTimeout, signal },
      );
      return {
        size: opened.size,
        isRanged: opened.isRanged || (offset === 0 && end === undefined),
        get withCredentials() {
          return withCredentials;
        },
        body,
      };
    },
    listTags: (repository, query, signal) =>
      short(repository, signal, (inner) => listTags(ask, repository, query, options.stallTimeout, received, inner)),
    listReferrers: (repository, digest, query, signal) =>
      short(repository, signal, (inner) =>
        listReferrers(ask, repository, { digest, query }, options.stallTimeout, received, inner),
      ),
    mayBePrivate: ({ registry }) => {
      const registries = options.registries;
      return Object.hasOwn(registries, registry) && (registries[registry]?.credentials ?? null) !== null;
    },
    anonymous: createAnonymous(askAnonymously, options.stallTimeout, received, lifetime.signal),
    rateLimits: () => rates.all(),
    async close() {
      lifetime.abort(new AgentError('DRAINING', 'the upstream client is closed'));
      await transports.close();
    },
  };
}
