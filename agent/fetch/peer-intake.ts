import type { ChunkMap } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import { briefly, isAgentError } from '../errors.ts';
import type { Buffers } from './buffers.ts';
import type { EarlyChunk } from './head-start.ts';
import type { Holders } from './holders.ts';
import type { InFlight } from './in-flight.ts';
import type { FetchComponents } from './init.ts';
import { takeFromPeer } from './peer-lane.ts';
import type { GivenChunk } from './ports.ts';
import { isStoreFailure } from './store-failure.ts';
import type { SharedIntake } from './upstream-intake.ts';

export interface PeerIntakeComponents extends Pick<FetchComponents, 'swarm' | 'metrics' | 'download' | 'logger'> {
  readonly holders: Holders;
  readonly blob: InFlight;
  /** For the blob's chunks. */
  readonly buffers: Buffers;
}

/** Takes the chunks of one blob from peers, each as the rules ask for it. */
export class PeerIntake {
  /** The chunk map that chunks are matched to, where one is used. */
  guide: { readonly map: ChunkMap; readonly root: string } | undefined;
  readonly #components: PeerIntakeComponents;
  readonly #shared: SharedIntake;
  readonly #forget: (indexes: readonly number[]) => Promise<void>;
  readonly #taking = new Map<string, AbortController>();

  /** @param forget forgets chunks that are there and false */
  constructor(
    components: PeerIntakeComponents,
    shared: SharedIntake,
    forget: (indexes: readonly number[]) => Promise<void>,
  ) {
    this.#components = components;
    this.#shared = shared;
    this.#forget = forget;
  }

  /** What is asked of a peer is there already. */
  cancel(peer: string, index: number): void {
    this.#taking.get(`${peer}/${index}`)?.abort(new Error('there already'));
  }

  /** Asks a peer for a chunk. @param early the same, asked for already @throws what is no fault of the peer's */
  async take(peer: string, index: number, early?: EarlyChunk): Promise<void> {
    const { logger, metrics, holders } = this.#components;
    const { signal: end, on } = this.#shared;
    const cancel = new AbortController();
    const key = `${peer}/${index}`;
    this.#taking.set(key, cancel);
    const onEnd = (): void => cancel.abort(end.reason);
    end.addEventListener('abort', onEnd);
    if (end.aborted) onEnd();
    if (early !== undefined && this.#shared.partial.sourceOf(index) !== undefined) this.cancel(peer, index);
    try {
      const came = await this.#chunkFromPeer(peer, index, cancel.signal, early);
      on((own, now) => {
        const isTaken = came === 'mark' || came === 'map';
        own.answered(peer, index, isTaken ? 'done' : came, now);
        if (isTaken) own.took(index, came, now);
      });
    } catch (error) {
      if (cancel.signal.aborted) return on((own, now) => own.answered(peer, index, 'cancelled', now));
      if (!isAgentError(error) || isStoreFailure(error)) throw error;
      if (isAgentError(error, 'DIGEST_MISMATCH')) metrics.refusedChunks.inc({ source: 'peer' });
      const outcome = outcomeOf(error, holders.get(peer) !== undefined);
      let isGivenUp = outcome === 'failed';
      on((own, now) => {
        own.answered(peer, index, outcome, now);
        isGivenUp ||= own.isDistrusted(peer);
      });
      if (!isGivenUp) return;
      logger.warn({ peer, index, ...briefly(error) }, 'peer given up for this blob');
      holders.failed(peer, error);
    } finally {
      end.removeEventListener('abort', onEnd);
      this.#taking.delete(key);
    }
  }

  /** Whether a peer says to hold the whole that the map in use describes. */
  #isClaimedBy(peer: string): boolean {
    return this.guide !== undefined && this.#components.holders.get(peer)?.root === this.guide.root;
  }

  /** Whose word a chunk without a mark rests on. Who passes on what matched the map speaks for nothing. */
  #claimant(peer: string): string | undefined {
    return this.#isClaimedBy(peer) ? peer : undefined;
  }

  /** What was asked for together with the map, once that is here or cannot be had. */
  async #mapped(early: EarlyChunk, signal: AbortSignal): Promise<GivenChunk> {
    const given = await early.given(signal);
    const { blob, holders } = this.#components;
    while (this.guide === undefined && holders.best() !== undefined && !signal.aborted) await blob.change.next(signal);
    signal.throwIfAborted();
    return given;
  }

  /** What vouches for the chunk; `cancelled` where it was there already, `useless` where nothing does. */
  async #chunkFromPeer(
    peer: string,
    index: number,
    signal: AbortSignal,
    early: EarlyChunk | undefined,
  ): Promise<'mark' | 'map' | 'cancelled' | 'useless'> {
    const { swarm, metrics, download, blob, holders, buffers } = this.#components;
    const { partial, marks, writing } = this.#shared;
    const { digest, layout } = partial;
    const length = chunkLength(layout, index);
    const buffer = early?.buffer ?? buffers.take();
    const chunk = await takeFromPeer(
      {
        layout,
        marks,
        map: () => this.guide?.map,
        isClaimed: () => this.#isClaimedBy(peer),
        isBanned: (signer) => swarm.isBanned(signer),
      },
      index,
      async (inner) => {
        if (early !== undefined) return { ...(await this.#mapped(early, inner)), mark: undefined };
        const into = buffer.subarray(0, length);
        const holder = this.guide === undefined ? undefined : holders.get(peer);
        if (holder === undefined) return swarm.chunk(peer, digest, index, length, inner, into);
        return { ...(await holder.chunk(index, length, inner, into)), mark: undefined };
      },
      () => download?.held ?? 0,
      signal,
    ).catch((error: unknown) => {
      // In a crowd one answer in five is "busy": a fresh buffer for each would cost more than the chunk.
      if (isAgentError(error, 'PEER_BUSY', 'PEER_MISSING')) buffers.giveBack(buffer);
      throw error;
    });
    const isThere = writing.has(index) || partial.sourceOf(index) !== undefined;
    if (chunk === undefined || isThere) {
      if (early !== undefined) blob.written(index);
      buffers.giveBack(buffer);
      return isThere ? 'cancelled' : 'useless';
    }
    const { bytes, sha256, mark } = chunk;
    writing.add(index);
    try {
      // What has arrived and matches is kept, whatever else has failed meanwhile.
      await partial.write(chunkStart(layout, index), bytes);
      await partial.mark(index, sha256, 'peer');
    } finally {
      writing.delete(index);
      blob.written(index);
    }
    buffers.giveBack(buffer);
    if (mark !== undefined) marks.keep(index, mark);
    // Caught while its chunk was being written: what was dropped meanwhile did not include it.
    if (mark !== undefined && swarm.isBanned(mark.signer)) {
      await this.#forget([index]);
      return 'useless';
    }
    metrics.peerBytes.inc(length);
    blob.marked(index, 'peer', peer, mark?.signer ?? this.#claimant(peer));
    return mark === undefined ? 'map' : 'mark';
  }
}

/** What the rules are told of a failed request. @param isHolder whether the peer said to hold the whole */
function outcomeOf(error: unknown, isHolder: boolean): 'busy' | 'missing' | 'failed' {
  if (isAgentError(error, 'PEER_BUSY')) return 'busy';
  return isAgentError(error, 'PEER_MISSING') && !isHolder ? 'missing' : 'failed';
}
