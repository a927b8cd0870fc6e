import type { Logger } from 'pino';
import { CHUNK_HASH_LENGTH, chunkMap, chunkMapRoot } from '../../protocol/chunk-map.ts';
import { AgentError, isAgentError } from '../errors.ts';
import { judge, liars } from './blame.ts';
import type { Holders } from './holders.ts';
import type { InFlight } from './in-flight.ts';
import type { Inquiry } from './inquiry.ts';
import type { Intake } from './intake.ts';
import type { Partial, Swarm } from './ports.ts';
import type { Proven } from './proven.ts';

/** How often content that does not match is taken again before the acquisition gives up. */
const MAX_MISMATCHES = 12;

export interface CommitComponents {
  readonly swarm: Pick<Swarm, 'strike'>;
  readonly proven: Proven;
  readonly holders: Holders;
  readonly blob: InFlight;
  readonly intake: Intake;
  readonly inquiry: Inquiry;
  readonly logger: Logger;
  /** Told of chunks that were dropped: they may have been shown. */
  onDropped(indexes: readonly number[]): void;
}

/** What becomes of a blob all of whose chunks are there: it matches and is put into the store, or who lied is found out. */
export class Commit {
  readonly #components: CommitComponents;
  readonly #partial: Partial;
  #mismatches = 0;

  constructor(components: CommitComponents, partial: Partial) {
    this.#components = components;
    this.#partial = partial;
  }

  /**
   * Whether the blob is whole and in the store; where it does not match, what is to blame is dropped by then.
   * @throws AgentError UPSTREAM_MISMATCH, DIGEST_MISMATCH where it never comes right; what the store throws
   */
  async attempt(signal: AbortSignal): Promise<boolean> {
    const { blob } = this.#components;
    // A chunk may have turned out false since all were there.
    if (this.#partial.marked < this.#partial.layout.count) return false;
    blob.isCommitting = true;
    try {
      await this.#partial.commit(null);
    } catch (error) {
      if (!isAgentError(error, 'DIGEST_MISMATCH') || ++this.#mismatches > MAX_MISMATCHES) throw error;
      blob.isCommitting = false;
      blob.change.notify();
      await this.#dropFalse(signal);
      return false;
    }
    this.#blameLiars();
    this.#prove();
    return true;
  }

  async #dropFalse(signal: AbortSignal): Promise<void> {
    const { swarm, holders, intake, inquiry, logger, onDropped } = this.#components;
    const { digest, layout } = this.#partial;
    const suspects = Array.from({ length: layout.count }, (_, index) => ({ index, vouched: intake.vouched(index) }));
    const verdict = judge(suspects);
    logger.warn({ mapIsFalse: verdict.mapIsFalse, again: verdict.drop.length }, 'whole blob does not match');
    for (const peer of holders.dropMap(verdict.mapIsFalse)) swarm.strike(peer, 'lied');
    if (verdict.drop.length === 0 && !verdict.upstreamIsWrong) return inquiry.verdict(signal);
    // First, so that nothing that is still on its way is matched to a false map.
    intake.guide(undefined, undefined, []);
    await intake.forget(verdict.drop);
    onDropped(verdict.drop);
    if (verdict.upstreamIsWrong) {
      throw new AgentError('UPSTREAM_MISMATCH', `upstream sent ${layout.size} bytes that are not ${digest}`);
    }
  }

  /** With the blob verified its true chunk map is known, and with it who claimed another. */
  #blameLiars(): void {
    const { swarm, holders, logger } = this.#components;
    const { digest, layout } = this.#partial;
    const hashes = Buffer.alloc(layout.count * CHUNK_HASH_LENGTH);
    for (let index = 0; index < layout.count; index++) {
      hashes.set(this.#partial.hashOf(index) as Uint8Array, index * CHUNK_HASH_LENGTH);
    }
    const root = chunkMapRoot(chunkMap(digest, layout.size, hashes));
    for (const peer of liars(root, holders.candidates())) {
      logger.warn({ peer }, 'peer claimed a false chunk map');
      swarm.strike(peer, 'lied');
    }
  }

  /** The whole has matched: whoever vouched for a part of it was right, and from here on this agent can. */
  #prove(): void {
    const { blob, proven, intake } = this.#components;
    const chunks = new Map<string, number>();
    for (let index = 0; index < this.#partial.layout.count; index++) {
      const voucher = blob.voucherOf(index);
      if (voucher !== undefined) chunks.set(voucher, (chunks.get(voucher) ?? 0) + 1);
      intake.marks.matched(index, this.#partial.hashOf(index) as Uint8Array);
    }
    for (const [voucher, count] of chunks) proven.add(voucher, count, performance.now());
  }
}
