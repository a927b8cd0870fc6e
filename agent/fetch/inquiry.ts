import { hash } from 'node:crypto';
import type { Logger } from 'pino';
import type { Mark } from '../../protocol/mark.ts';
import { AgentError, briefly, isAgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import { Change } from './change.ts';
import { doubtfulChunk } from './doubtful-chunk.ts';
import type { FetchComponents } from './init.ts';
import type { Intake } from './intake.ts';
import type { Partial } from './ports.ts';
import type { Proven } from './proven.ts';
import { type Testimony, Trial } from './rules/trial.ts';
import type { Sharing } from './sharing.ts';

/** After upstream could not be asked for a chunk, it is left alone for so long. Milliseconds. */
const RETRY = 1_000;

/** How long upstream may take to settle a dispute. Milliseconds: a stall time-out. */
const DISPUTE_PATIENCE = 5_000;

/**
 * How long a whole that does not match waits for upstream to be there, which alone can say why. Milliseconds: a holder
 * that is found within the first half, and contradicts a chunk, has its dispute over before the end.
 */
const VERDICT_PATIENCE = 2 * DISPUTE_PATIENCE;

export interface InquiryComponents extends FetchComponents {
  readonly sharing: Sharing;
  readonly logger: Logger;
  /** Where the blob may be asked for upstream, best first. */
  readonly repositories: Repository[];
  readonly proven: Proven;
}

/**
 * Finds out, for one blob, who signed for what is not so: looks at chunks upstream as the trial has it, shuts out who
 * is convicted, drops what rests on their word, and tells the others where to look.
 */
export class Inquiry {
  readonly #components: InquiryComponents;
  readonly #partial: Partial;
  readonly #intake: Intake;
  readonly #onDropped: (indexes: readonly number[]) => void;
  readonly #trial: Trial;
  readonly #change = new Change();
  readonly #pause = new Change();
  /** Counts what was dropped, so that whoever waits for a verdict sees that there was one. */
  #drops = 0;
  /** Since when upstream could not be asked, and why; undefined where it was when last tried. */
  #away: { readonly since: number; readonly error: AgentError } | undefined;
  /** Chunks that somebody waits to have settled. */
  readonly #disputes = new Set<number>();

  constructor(
    components: InquiryComponents,
    partial: Partial,
    intake: Intake,
    onDropped: (indexes: readonly number[]) => void,
  ) {
    this.#components = components;
    this.#partial = partial;
    this.#intake = intake;
    this.#onDropped = onDropped;
    this.#trial = new Trial(partial.digest, components.swarm.peerId);
  }

  /** Looks into what is heard and found out, until `signal` fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = performance.now();
      const step = this.#trial.next(this.#components.sharing.takers(this.#partial.digest), now);
      if (step.kind === 'wait') await this.#change.next(signal, step.until - now);
      else if (step.kind === 'alone') await this.#trustNobody();
      else await this.#check(step.index, signal);
    }
  }

  /**
   * All chunks are there and the whole does not match: waits until some of them are dropped.
   * @throws AgentError CONTENT_UNAVAILABLE where upstream cannot be asked; what others signed for is dropped by then
   */
  async verdict(signal: AbortSignal): Promise<void> {
    const before = this.#drops;
    const testimonies = new Map<number, Testimony>();
    for (let index = 0; index < this.#partial.layout.count; index++) {
      const sha256 = hex(this.#partial.hashOf(index) as Uint8Array);
      const signer = this.#intake.signerOf(index) ?? this.#components.swarm.peerId;
      testimonies.set(index, { signer, sha256 });
    }
    this.#trial.open(testimonies);
    // What failed before this pull hung on it does not count.
    this.#answers();
    this.#change.notify();
    while (this.#drops === before) {
      signal.throwIfAborted();
      if (this.#away !== undefined && performance.now() - this.#away.since >= VERDICT_PATIENCE) {
        await this.#giveUp(this.#away.error);
      }
      await this.#change.next(signal);
    }
    this.#trial.adjourn();
  }

  /** Chunks were dropped that may have been false: there is nothing to find out until all are there again. */
  forgotten(): void {
    this.#drops++;
    this.#change.notify();
  }

  /**
   * Two contradict each other over a chunk: waits until upstream has said who is right, and what it says is in its place.
   * False where it does not.
   */
  async settled(index: number, signal: AbortSignal): Promise<boolean> {
    // Not merely until the truth is known: before it is in place all would look as disputed as before, and whoever asks
    // again at once would do so for ever, and let nothing else run.
    this.#disputes.add(index);
    this.#trial.dispute(index);
    this.#change.notify();
    const until = performance.now() + DISPUTE_PATIENCE;
    while (this.#disputes.has(index)) {
      const left = until - performance.now();
      if (signal.aborted || left <= 0) return false;
      await this.#change.next(signal, left);
    }
    return true;
  }

  /** Somebody says that a chunk, as its signer signed for it, is not what upstream has. */
  accused(accuser: string, index: number, sha256: Uint8Array, mark: Mark): void {
    if (index >= this.#partial.layout.count || this.#components.swarm.isBanned(mark.signer)) return;
    if (!this.#intake.marks.isTrue(index, sha256, mark)) return;
    this.#trial.accused(accuser, index, { signer: mark.signer, sha256: hex(sha256) });
    this.#change.notify();
  }

  /** Somebody looked at a chunk upstream. */
  vouched(peer: string, index: number, sha256: Uint8Array): void {
    if (index >= this.#partial.layout.count) return;
    this.#trial.vouched(peer, index, hex(sha256));
    this.#change.notify();
  }

  /** Drops what rests on the word of a peer that was caught lying, here or elsewhere. */
  async drop(liar: string): Promise<void> {
    const indexes: number[] = [];
    for (let index = 0; index < this.#partial.layout.count; index++) {
      if (this.#intake.signerOf(index) === liar && !this.#trial.isKnown(index)) indexes.push(index);
    }
    if (indexes.length > 0) await this.#forget(indexes);
  }

  async #forget(indexes: readonly number[]): Promise<void> {
    await this.#intake.forget(indexes);
    this.#onDropped(indexes);
  }

  async #trustNobody(): Promise<void> {
    this.#components.logger.warn('nobody was found out: what others took from upstream is taken again');
    await this.#dropSigned();
  }

  /** Upstream cannot say which chunk is false. Whoever asks for the blob again must not begin with it. */
  async #giveUp(cause: AgentError): Promise<never> {
    const { digest } = this.#partial;
    await this.#dropSigned();
    const what = `what neighbours sent is not ${digest}, and upstream cannot say which chunk is false: ${cause.message}`;
    throw new AgentError('CONTENT_UNAVAILABLE', what, { cause });
  }

  /** Drops all that rests on the word of others alone, and takes nothing of them any more. */
  async #dropSigned(): Promise<void> {
    this.#trial.adjourn();
    this.#components.sharing.on(this.#partial.digest, (share) => share.alone());
    const indexes: number[] = [];
    for (let index = 0; index < this.#partial.layout.count; index++) {
      if (this.#intake.signerOf(index) !== undefined && !this.#trial.isKnown(index)) indexes.push(index);
    }
    await this.#forget(indexes);
  }

  /** Upstream can be asked, as far as is known. */
  #answers(): void {
    this.#away = undefined;
  }

  async #check(index: number, signal: AbortSignal): Promise<void> {
    const { swarm, sharing, logger, metrics, proven } = this.#components;
    const { digest, layout } = this.#partial;
    let bytes: Uint8Array;
    try {
      bytes = await doubtfulChunk(this.#components, this.#partial, index, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isAgentError(error)) throw error;
      logger.warn({ index, ...briefly(error) }, 'a doubtful chunk could not be looked at upstream');
      this.#trial.failed(index);
      this.#away = { since: this.#away?.since ?? performance.now(), error };
      this.#change.notify();
      // Whatever is heard meanwhile: a neighbour that talks much must not have upstream asked the more often.
      await this.#pause.next(signal, RETRY);
      return;
    }
    this.#answers();
    const sha256 = hash('sha256', bytes, 'buffer');
    const mark = this.#intake.mark(index);
    const had = this.#partial.hashOf(index);
    const liars = this.#trial.found(index, hex(sha256));
    if (had !== undefined && mark !== undefined && hex(had) !== hex(sha256)) {
      sharing.tell(digest, {
        type: 'accuse',
        digest,
        size: layout.size,
        index,
        sha256: had,
        mark: [mark.signer, mark.signature],
      });
    }
    sharing.tell(digest, { type: 'vouch', digest, size: layout.size, index, sha256 });
    for (const { signer } of liars) {
      logger.warn({ peer: signer, index }, 'peer vouched for a false chunk');
      metrics.refusedChunks.inc({ source: 'peer' });
      swarm.strike(signer, 'lied');
      proven.forget(signer);
      await sharing.convicted(signer);
    }
    if (await this.#intake.replace(index, bytes, sha256)) this.#onDropped([index]);
    this.#disputes.delete(index);
    this.#change.notify();
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
