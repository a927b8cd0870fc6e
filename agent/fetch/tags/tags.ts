import type { Digest } from '../../../protocol/digest.ts';
import { isAgentError } from '../../errors.ts';
import type { Repository } from '../../oci/reference.ts';
import type { ContentComponents } from '../init.ts';
import { tellNamed } from '../published.ts';
import { SingleFlight } from '../single-flight.ts';
import { isAway, type VerifiedManifest } from '../verified-manifest.ts';
import { acceptText } from './accept.ts';
import { judge, type TagSettings } from './freshness.ts';
import { KnownTags } from './known-tags.ts';
import type { TagRecord } from './ports.ts';
import { keyOf, nameOf, type RefreshedTag, type TagAnswer, type TagQuestion, whole } from './question.ts';
import { timeLimit, within } from './time-limit.ts';

/** How long upstream is waited for where a stale answer is in hand: clients wait 30 s for headers. Milliseconds. */
const STALE_BUDGET = 2_500;

/** How long upstream may take in all. A slow one is heard even when its client had a stale answer. Milliseconds. */
const ASK_WITHIN = 30_000;

/** How long the LAN is asked for a manifest that is not held, before the stale answer that names it. Milliseconds. */
const LOOK_WITHIN = 2_000;

export interface TagsComponents extends ContentComponents {
  /** A manifest from the store, a peer or upstream. */
  byDigest(
    repository: Repository,
    digest: Digest,
    accept: readonly string[],
    signal: AbortSignal,
  ): Promise<VerifiedManifest>;
  /** A manifest from upstream, for a registry whose HEAD does not say enough. */
  byTag(question: TagQuestion, signal: AbortSignal): Promise<{ manifest: VerifiedManifest; etag: string | undefined }>;
}

/** A question to upstream that somebody with a stale answer in hand has put. */
interface Behind {
  readonly outcome: Promise<TagAnswer>;
  /** On the clock of performance.now(). */
  readonly since: number;
}

/** What tags mean: upstream's word, for as long as it is fresh; and when upstream is away. Never a peer's. */
export class Tags {
  readonly #components: TagsComponents;
  readonly #settingsOf: (registry: string) => TagSettings;
  readonly #known: KnownTags;
  readonly #flights: SingleFlight<TagAnswer>;
  /** By flight; each ends after {@link ASK_WITHIN}. */
  readonly #behind = new Map<string, Behind>();
  readonly #now: () => number;

  /** @param stopped ends every question to upstream */
  constructor(components: TagsComponents, settingsOf: (registry: string) => TagSettings, stopped: AbortSignal) {
    this.#components = components;
    this.#settingsOf = settingsOf;
    this.#known = new KnownTags(components.tags, components.logger);
    this.#flights = new SingleFlight(stopped);
    this.#now = components.now ?? Date.now;
  }

  /** What the tag means to this client. @throws what upstream answers, and AgentError UPSTREAM_… with nothing known */
  async resolve(question: TagQuestion, signal: AbortSignal): Promise<TagAnswer> {
    const name = nameOf(question);
    const wanted = acceptText(question.accept);
    const settings = this.#settingsOf(name.registry);
    let verdict = judge(this.#known.answerTo(name, wanted), question.tag, settings, this.#now());
    if (verdict.kind === 'answer') {
      try {
        return this.#counted('fresh', await this.#had(verdict.record, question, signal));
      } catch (error) {
        if (!isAgentError(error, 'MANIFEST_UNKNOWN', 'UPSTREAM_DENIED')) throw error;
        this.#known.forget(name, wanted);
        if (error.code === 'UPSTREAM_DENIED') throw error;
        // The tag has moved, and what it was is gone.
        verdict = { kind: 'ask', stale: undefined };
      }
    }
    if (verdict.stale !== undefined) return await this.#askOrStale(verdict.stale, question, signal);
    const asked = await this.#flights.run(keyOf(question), signal, (inner) => this.#ask(question, inner));
    return this.#counted('checked', asked);
  }

  /** Asks upstream now, whatever is known; for all clients. @throws what upstream answers */
  async refresh(repository: Repository, tag: string, signal: AbortSignal): Promise<RefreshedTag> {
    const question = { repository, tag, accept: [] };
    const was = this.#known.last(nameOf(question));
    const limit = timeLimit(ASK_WITHIN);
    try {
      const is = await this.#ask(question, AbortSignal.any([signal, limit.signal]));
      // Who is not answered by this asks anew: nobody is told for the rest of a window what this may have replaced.
      this.#known.forgetOthers(nameOf(question), acceptText([]) ?? '');
      return { was: was && { digest: was.digest, checkedAt: was.checkedAt }, is };
    } finally {
      limit.clear();
    }
  }

  async #askOrStale(record: TagRecord, question: TagQuestion, signal: AbortSignal): Promise<TagAnswer> {
    const { outcome, since } = this.#askBehind(question);
    try {
      return this.#counted('checked', await within(outcome, since + STALE_BUDGET - performance.now(), signal));
    } catch (error) {
      signal.throwIfAborted();
      if (!isAway(error)) throw error;
      const soon = AbortSignal.any([signal, AbortSignal.timeout(LOOK_WITHIN)]);
      const answer = await this.#had(record, question, soon).catch(() => undefined);
      signal.throwIfAborted();
      // A digest whose manifest cannot be had would only fail the client's next request.
      if (answer === undefined) throw error;
      const staleFor = Math.max(0, this.#now() - record.checkedAt);
      const reason = isAgentError(error) ? error.message : undefined;
      this.#components.logger.warn({ ...nameOf(question), staleFor, reason }, 'upstream is away; a stale tag is told');
      return this.#counted('stale', { ...answer, staleFor });
    }
  }

  /** Upstream is asked to its end, whoever still waits: else a registry slower than the budget were never heard. */
  #askBehind(question: TagQuestion): Behind {
    const key = keyOf(question);
    const running = this.#behind.get(key);
    if (running !== undefined) return running;
    const limit = timeLimit(ASK_WITHIN);
    const flight = this.#flights.run(key, limit.signal, (inner) => this.#ask(question, inner));
    const outcome = flight.finally(() => {
      limit.clear();
      this.#behind.delete(key);
    });
    // Everybody may have left with a stale answer by the time it fails.
    outcome.catch(() => {});
    const behind = { outcome, since: performance.now() };
    this.#behind.set(key, behind);
    return behind;
  }

  /** What upstream says now; it is remembered, or forgotten where upstream says no. */
  async #ask(question: TagQuestion, signal: AbortSignal): Promise<TagAnswer> {
    const name = nameOf(question);
    const accept = acceptText(question.accept);
    const checkedAt = this.#now();
    try {
      const { etag, ...answer } = await this.#look(question, accept, signal);
      const { digest, mediaType, size } = answer;
      if (accept !== undefined) {
        this.#known.remember(name, { accept, digest, mediaType, size, etag: etag ?? null, checkedAt }, this.#now());
      }
      return answer;
    } catch (error) {
      if (isAgentError(error, 'MANIFEST_UNKNOWN', 'UPSTREAM_DENIED')) this.#known.forget(name, accept);
      throw error;
    }
  }

  /** One HEAD, and no more where it says enough. */
  async #look(question: TagQuestion, wanted: string | undefined, signal: AbortSignal) {
    const { repository, tag, accept } = question;
    const head = await this.#components.upstream.headManifest(repository, tag, accept, signal);
    const { mediaType, size, etag } = head;
    if (head.digest !== undefined) tellNamed(this.#components, repository, head.digest, head.withCredentials);
    const digest = head.digest ?? this.#known.digestOf(nameOf(question), wanted, etag);
    if (digest !== undefined && size !== undefined) return { digest, mediaType, size, etag };
    if (digest === undefined) {
      const fetched = await this.#components.byTag(question, signal);
      return { ...whole(fetched.manifest), etag: fetched.etag };
    }
    return { ...whole(await this.#components.byDigest(repository, digest, accept, signal)), etag };
  }

  /** What a record says, once the manifest it names is held or can be had. @throws where it cannot */
  async #had(record: TagRecord, { repository, accept }: TagQuestion, signal: AbortSignal): Promise<TagAnswer> {
    const { digest, mediaType, size } = record;
    if (this.#components.store.find(digest) !== undefined) return { digest, mediaType, size };
    return whole(await this.#components.byDigest(repository, digest, accept, signal));
  }

  #counted(answer: 'fresh' | 'checked' | 'stale', what: TagAnswer): TagAnswer {
    this.#components.metrics.tagAnswers.inc({ answer });
    return what;
  }
}
