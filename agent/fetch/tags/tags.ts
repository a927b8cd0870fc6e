import { isAgentError } from '../../errors.ts';
import type { Repository } from '../../oci/reference.ts';
import type { FetchInit } from '../init.ts';
import { SingleFlight } from '../single-flight.ts';
import { isAway } from '../verified-manifest.ts';
import { acceptText } from './accept.ts';
import { ageOf } from './belief.ts';
import { judge, type TagSettings } from './freshness.ts';
import type { TagsComponents } from './init.ts';
import { KnownTags } from './known-tags.ts';
import { PeersWord } from './peers-word.ts';
import type { TagRecord } from './ports.ts';
import { keyOf, nameOf, type RefreshedTag, type TagAnswer, type TagQuestion, whole } from './question.ts';
import { LOOK_WITHIN, timeLimit, within } from './time-limit.ts';
import { UpstreamWord } from './upstream-word.ts';

/** How long upstream is waited for where a stale answer is in hand: clients wait 30 s for headers. Milliseconds. */
const STALE_BUDGET = 2_500;

/** How long upstream may take in all. A slow one is heard even when its client had a stale answer. Milliseconds. */
const ASK_WITHIN = 30_000;

/** A question to upstream that somebody with a stale answer in hand has put. */
interface Behind {
  readonly outcome: Promise<TagAnswer>;
  /** On the clock of performance.now(). */
  readonly since: number;
}

/** What tags mean: upstream's word, for as long as it is fresh; and when upstream is away. A peer's only where set so. */
export class Tags {
  readonly #components: TagsComponents;
  readonly #settingsOf: (registry: string) => TagSettings;
  readonly #known: KnownTags;
  readonly #upstream: UpstreamWord;
  readonly #peers: PeersWord;
  readonly #flights: SingleFlight<TagAnswer>;
  /** By flight; each ends after {@link ASK_WITHIN}. */
  readonly #behind = new Map<string, Behind>();
  readonly #now: () => number;

  /** @param stopped ends every question to upstream and to peers */
  constructor(components: TagsComponents, init: Pick<FetchInit, 'tags' | 'lookupTimeout'>, stopped: AbortSignal) {
    this.#components = components;
    this.#settingsOf = init.tags;
    this.#known = new KnownTags(components.tags, components.logger);
    this.#upstream = new UpstreamWord(components, this.#known);
    this.#peers = new PeersWord(components, init, stopped);
    this.#flights = new SingleFlight(stopped);
    this.#now = components.now ?? Date.now;
  }

  /** What the tag means to this client. @throws what upstream answers, and AgentError UPSTREAM_… with nothing known */
  async resolve(question: TagQuestion, signal: AbortSignal): Promise<TagAnswer> {
    const name = nameOf(question);
    const wanted = acceptText(question.accept);
    const settings = this.#settingsOf(name.registry);
    const now = this.#now();
    let verdict = judge(this.#known.answerTo(name, wanted, now), question.tag, settings, now);
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
    const { fromPeers = 'never' } = settings;
    if (fromPeers === 'always') {
      const told = await this.#peers.fresh(question, settings, signal);
      if (told !== undefined) return this.#counted('peer', told);
    }
    if (verdict.stale !== undefined || fromPeers !== 'never') {
      return await this.#askOrStandIn(verdict.stale, question, settings, signal);
    }
    const asked = await this.#flights.run(keyOf(question), signal, (inner) => this.#upstream.ask(question, inner));
    return this.#counted('checked', asked);
  }

  /** Asks upstream now, whatever is known; for all clients. @throws what upstream answers */
  async refresh(repository: Repository, tag: string, signal: AbortSignal): Promise<RefreshedTag> {
    const question = { repository, tag, accept: [] };
    const was = this.#known.last(nameOf(question));
    const limit = timeLimit(ASK_WITHIN);
    try {
      const is = await this.#upstream.ask(question, AbortSignal.any([signal, limit.signal]));
      // Who is not answered by this asks anew: nobody is told for the rest of a window what this may have replaced.
      this.#known.forgetOthers(nameOf(question), acceptText([]) ?? '');
      return { was: was && { digest: was.digest, checkedAt: was.checkedAt }, is };
    } finally {
      limit.clear();
    }
  }

  /** Upstream's word; where that does not come, the newest of what peers say and this agent knew. */
  async #askOrStandIn(
    stale: TagRecord | undefined,
    question: TagQuestion,
    settings: TagSettings,
    signal: AbortSignal,
  ): Promise<TagAnswer> {
    const { outcome, since } = this.#askBehind(question);
    try {
      return this.#counted('checked', await within(outcome, since + STALE_BUDGET - performance.now(), signal));
    } catch (error) {
      signal.throwIfAborted();
      if (!isAway(error)) throw error;
      const answer = await this.#standIn(stale, question, settings, signal);
      if (answer !== undefined) {
        const { staleFor, toldBy } = answer;
        const reason = isAgentError(error) ? error.message : undefined;
        const details = { ...nameOf(question), staleFor, toldBy, reason };
        const what = toldBy === undefined ? 'a stale tag is told' : 'a peer’s word for a tag is told';
        this.#components.logger.warn(details, `upstream is away; ${what}`);
        return this.#counted(toldBy === undefined ? 'stale' : 'peer', answer);
      }
      // With nothing in hand a slow upstream is still waited for.
      if (stale === undefined) return this.#counted('checked', await within(outcome, ASK_WITHIN, signal));
      throw error;
    }
  }

  /**
   * What is told while upstream is away; undefined where nothing can be. A digest whose manifest cannot be had would only
   * fail the client's next request.
   */
  async #standIn(
    stale: TagRecord | undefined,
    question: TagQuestion,
    settings: TagSettings,
    signal: AbortSignal,
  ): Promise<TagAnswer | undefined> {
    if ((settings.fromPeers ?? 'never') !== 'never') {
      const told = await this.#peers.newer(question, settings, stale, signal);
      if (told !== undefined) return told;
    }
    if (stale === undefined) return undefined;
    const soon = AbortSignal.any([signal, AbortSignal.timeout(LOOK_WITHIN)]);
    const answer = await this.#had(stale, question, soon).catch(() => undefined);
    signal.throwIfAborted();
    return answer && { ...answer, staleFor: ageOf(stale, this.#now()) };
  }

  /** Upstream is asked to its end, whoever still waits: else a registry slower than the budget were never heard. */
  #askBehind(question: TagQuestion): Behind {
    const key = keyOf(question);
    const running = this.#behind.get(key);
    if (running !== undefined) return running;
    const limit = timeLimit(ASK_WITHIN);
    const flight = this.#flights.run(key, limit.signal, (inner) => this.#upstream.ask(question, inner));
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

  /** What a record says, once the manifest it names is held or can be had. @throws where it cannot */
  async #had(record: TagRecord, { repository, accept }: TagQuestion, signal: AbortSignal): Promise<TagAnswer> {
    const { digest, mediaType, size } = record;
    if (this.#components.store.find(digest) !== undefined) return { digest, mediaType, size };
    return whole(await this.#components.byDigest(repository, digest, accept, signal));
  }

  #counted(answer: 'fresh' | 'checked' | 'stale' | 'peer', what: TagAnswer): TagAnswer {
    this.#components.metrics.tagAnswers.inc({ answer });
    const held = what.manifest === undefined ? this.#components.store.find(what.digest) : undefined;
    if (held === undefined) return what;
    // HEAD of what is held says what GET would: upstream's headers may be wrong, and its digest speaks for its bytes.
    return { ...what, mediaType: held.mediaType ?? what.mediaType, size: held.size };
  }
}
