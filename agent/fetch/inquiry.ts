import { hash } from 'node:crypto';
import type { Logger } from 'pino';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Mark } from '../../protocol/mark.ts';
import { AgentError, briefly, isAgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import { Change } from './change.ts';
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

export interface InquiryComponents extends FetchComponents {
  readonly sharing: Sharing;
  readonly logger: Logger;
  readonly repositories: readonly Repository[];
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
  /** Counts what was dropped, so that whoever waits for a verdict sees that there was one. */
  #drops = 0;
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

  /** All chunks are there and the whole does not match: waits until some of them are dropped. */
  async verdict(signal: AbortSignal): Promise<void> {
    const before = this.#drops;
    const testimonies = new Map<number, Testimony>();
    for (let index = 0; index < this.#partial.layout.count; index++) {
      const sha256 = hex(this.#partial.hashOf(index) as Uint8Array);
      const signer = this.#intake.signerOf(index) ?? this.#components.swarm.peerId;
      testimonies.set(index, { signer, sha256 });
    }
    this.#trial.open(testimonies);
    this.#change.notify();
    while (this.#drops === before) {
      signal.throwIfAborted();
      await this.#change.next(signal);
    }
    this.#trial.adjourn();
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
    this.#dropped(indexes);
  }

  #dropped(indexes: readonly number[]): void {
    this.#drops++;
    this.#onDropped(indexes);
    this.#change.notify();
  }

  async #trustNobody(): Promise<void> {
    this.#components.logger.warn('nobody was found out: what others took from upstream is taken again');
    this.#trial.adjourn();
    this.#components.sharing.on(this.#partial.digest, (share) => share.alone());
    const indexes: number[] = [];
    for (let index = 0; index < this.#partial.layout.count; index++) {
      if (this.#intake.signerOf(index) !== undefined && !this.#trial.isKnown(index)) indexes.push(index);
    }
    await this.#forget(indexes);
  }

  async #check(index: number, signal: AbortSignal): Promise<void> {
    const { swarm, sharing, logger, metrics, proven } = this.#components;
    const { digest, layout } = this.#partial;
    let bytes: Uint8Array;
    try {
      bytes = await this.#fromUpstream(index, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isAgentError(error)) throw error;
      logger.warn({ index, ...briefly(error) }, 'a doubtful chunk could not be looked at upstream');
      await this.#change.next(signal, RETRY);
      return;
    }
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
    if (await this.#intake.replace(index, bytes, sha256)) this.#dropped([index]);
    this.#disputes.delete(index);
    this.#change.notify();
  }

  async #fromUpstream(index: number, signal: AbortSignal): Promise<Uint8Array> {
    const { upstream, repositories } = this.#components;
    const { digest, layout } = this.#partial;
    const start = chunkStart(layout, index);
    const length = chunkLength(layout, index);
    const over = new AbortController();
    const within = AbortSignal.any([signal, over.signal]);
    const chunk = Buffer.allocUnsafeSlow(length);
    let at = 0;
    try {
      const { body } = await upstream.getBlob(repositories[0] as Repository, digest, start, within, start + length);
      for await (const piece of body) {
        const part = piece.subarray(0, length - at);
        chunk.set(part, at);
        at += part.length;
        if (part.length < piece.length) break;
      }
    } finally {
      over.abort();
    }
    if (at < length) throw new AgentError('UPSTREAM_FAILED', `upstream sent ${at} bytes of a chunk of ${length}`);
    return chunk;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
