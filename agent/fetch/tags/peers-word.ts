import type { AskedTag, SignedTag } from '../../../protocol/tag-record.ts';
import type { FetchInit } from '../init.ts';
import { SingleFlight } from '../single-flight.ts';
import { acceptText, isAccepted } from './accept.ts';
import { ageOf, flawOf, isNewer, newestOf, type PeersAnswer } from './belief.ts';
import { judge, type TagSettings } from './freshness.ts';
import type { TagsComponents } from './init.ts';
import type { TagRecord } from './ports.ts';
import { keyOf, nameOf, type TagAnswer, type TagQuestion, whole } from './question.ts';
import { LOOK_WITHIN } from './time-limit.ts';
import { whomToAsk } from './whom.ts';

/** How long peers are waited for where upstream is away: as long as for a blob's holders. Milliseconds. */
const PATIENCE = 1_000;

/**
 * What peers say that tags are, where that counts. It is told and forgotten: were it remembered among what upstream told,
 * this agent would sign for it.
 */
export class PeersWord {
  readonly #components: TagsComponents;
  readonly #lookupTimeout: number;
  readonly #flights: SingleFlight<SignedTag | undefined>;
  readonly #now: () => number;

  /** @param stopped ends every question to peers */
  constructor(components: TagsComponents, { lookupTimeout }: Pick<FetchInit, 'lookupTimeout'>, stopped: AbortSignal) {
    this.#components = components;
    // It holds up a pull that upstream could serve; a peer that does not answer must not do so for long.
    this.#lookupTimeout = Math.min(lookupTimeout, PATIENCE);
    this.#flights = new SingleFlight(stopped);
    this.#now = components.now ?? Date.now;
  }

  /** The newest word of those who are trusted, where upstream need not be asked then. @throws the signal's reason */
  async fresh(question: TagQuestion, settings: TagSettings, signal: AbortSignal): Promise<TagAnswer | undefined> {
    const told = await this.#newest(question, settings, this.#lookupTimeout, signal);
    if (told === undefined) return undefined;
    // Clocks differ; one that is a little ahead is as good as one that is right.
    const asOwn = { ...told, checkedAt: Math.min(told.checkedAt, this.#now()) };
    if (judge(asOwn, question.tag, settings, this.#now()).kind !== 'answer') return undefined;
    return await this.#had(told, question, signal);
  }

  /** The same, upstream being away, where it is newer than what this agent knows itself. @throws the signal's reason */
  async newer(
    question: TagQuestion,
    settings: TagSettings,
    own: TagRecord | undefined,
    signal: AbortSignal,
  ): Promise<TagAnswer | undefined> {
    const told = await this.#newest(question, settings, PATIENCE, signal);
    if (told === undefined || (own !== undefined && !isNewer(told, own, this.#now()))) return undefined;
    return await this.#had(told, question, signal);
  }

  async #newest(question: TagQuestion, settings: TagSettings, within: number, signal: AbortSignal) {
    const accept = acceptText(question.accept);
    if (accept === undefined) return undefined;
    const asked = { ...nameOf(question), accept };
    return await this.#flights.run(`${within} ${keyOf(question)}`, signal, async (inner) => {
      const answers = await this.#ask(asked, settings, AbortSignal.any([inner, AbortSignal.timeout(within)]));
      return newestOf(answers.filter((answer) => this.#isBelieved(answer, asked)).map(({ tag }) => tag));
    });
  }

  async #ask(asked: AskedTag, settings: TagSettings, signal: AbortSignal): Promise<PeersAnswer[]> {
    const { swarm } = this.#components;
    const neighbours = swarm.neighbours().map(({ peer }) => peer);
    const peers = whomToAsk({ isTrusted: swarm.isTrusted, neighbours }, settings, Math.random);
    const answers = await Promise.all(
      peers.map(async (peer) => {
        // Who does not answer, or not in time, is as good as who does not know.
        const tag = await swarm.tag(peer, asked, signal).catch(() => undefined);
        return tag === undefined ? [] : [{ peer, tag }];
      }),
    );
    return answers.flat();
  }

  #isBelieved(answer: PeersAnswer, asked: AskedTag): boolean {
    const { swarm, logger } = this.#components;
    const flaw = flawOf(answer, asked, this.#now(), (...signed) => swarm.verify(...signed));
    if (flaw === undefined) return true;
    const { peer, tag } = answer;
    const { registry, repository, tag: name } = asked;
    const details = { peer, flaw, registry, repository, tag: name, checkedAt: new Date(tag.checkedAt) };
    logger.warn(details, 'a peer’s word for a tag does not count');
    if (flaw === 'forged') swarm.strike(peer, 'lied');
    if (flaw === 'relayed') swarm.strike(peer, 'garbage');
    // A wrong clock is no lie, this host's may be the wrong one; and what answers whom, another version may see otherwise.
    return false;
  }

  /** What the tag is by that word, once the manifest it names is held or can be had; undefined where it cannot. */
  async #had(
    told: SignedTag,
    { repository, accept }: TagQuestion,
    signal: AbortSignal,
  ): Promise<TagAnswer | undefined> {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(LOOK_WITHIN)]);
    const manifest = await this.#components.byDigest(repository, told.digest, accept, soon).catch(() => undefined);
    signal.throwIfAborted();
    // Type and size are the manifest's own: of the word only the digest counts.
    if (manifest === undefined || !isAccepted(manifest.mediaType, acceptText(accept) ?? '')) return undefined;
    return { ...whole(manifest), staleFor: ageOf(told, this.#now()), toldBy: told.signer };
  }
}
