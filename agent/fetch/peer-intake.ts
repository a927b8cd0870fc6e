import type { ChunkMap } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import { briefly, isAgentError } from '../errors.ts';
import { Buffers } from './buffers.ts';
import type { Holders } from './holders.ts';
import type { InFlight } from './in-flight.ts';
import type { FetchComponents } from './init.ts';
import { takeFromPeer } from './peer-lane.ts';
import type { SharedIntake } from './upstream-intake.ts';

/** Buffers that a blob keeps for its next chunks where it does not share those of all. */
const KEPT_BUFFERS = 2;

export interface PeerIntakeComponents extends Pick<FetchComponents, 'swarm' | 'metrics' | 'download' | 'logger'> {
  readonly holders: Holders;
  readonly blob: InFlight;
  /** For the chunks of all blobs whose chunks are of that size. */
  readonly buffers: Buffers;
}

/** Takes the chunks of one blob from peers, each as the rules ask for it. */
export class PeerIntake {
  /** The chunk map that chunks are matched to, where one is used. */
  guide: { readonly map: ChunkMap; readonly root: string } | undefined;
  readonly #components: PeerIntakeComponents;
  readonly #shared: SharedIntake;
  readonly #forget: (indexes: readonly number[]) => Promise<void>;
  readonly #buffers: Buffers;
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
    const { layout } = shared.partial;
    const length = Math.min(layout.chunkSize, layout.size);
    const { buffers } = components;
    this.#buffers = buffers.size === length ? buffers : new Buffers(length, KEPT_BUFFERS);
  }

  /** What is asked of a peer is there already. */
  cancel(peer: string, index: number): void {
    this.#taking.get(`${peer}/${index}`)?.abort(new Error('there already'));
  }

  /** Asks a peer for a chunk. @throws what is no fault of the peer's */
  async take(peer: string, index: number): Promise<void> {
    const { logger, metrics, holders } = this.#components;
    const { signal: end, on } = this.#shared;
    const cancel = new AbortController();
    const key = `${peer}/${index}`;
    this.#taking.set(key, cancel);
    const onEnd = (): void => cancel.abort(end.reason);
    end.addEventListener('abort', onEnd);
    if (end.aborted) onEnd();
    try {
      const came = await this.#chunkFromPeer(peer, index, cancel.signal);
      on((own, now) => {
        const isTaken = came === 'mark' || came === 'map';
        own.answered(peer, index, isTaken ? 'done' : came, now);
        if (isTaken) own.took(index, came, now);
      });
    } catch (error) {
      if (cancel.signal.aborted) return on((own, now) => own.answered(peer, index, 'cancelled', now));
      if (!isAgentError(error)) throw error;
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

  /** What vouches for the chunk; `cancelled` where it was there already, `useless` where nothing does. */
  async #chunkFromPeer(
    peer: string,
    index: number,
    signal: AbortSignal,
  ): Promise<'mark' | 'map' | 'cancelled' | 'useless'> {
    const { swarm, metrics, download, blob, holders } = this.#components;
    const { partial, marks, writing } = this.#shared;
    const { digest, layout } = partial;
    const length = chunkLength(layout, index);
    const buffer = this.#buffers.take();
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
        const into = buffer.subarray(0, length);
        const holder = this.guide === undefined ? undefined : holders.get(peer);
        if (holder === undefined) return swarm.chunk(peer, digest, index, length, inner, into);
        return { ...(await holder.chunk(index, length, inner, into)), mark: undefined };
      },
      () => download?.held ?? 0,
      signal,
    );
    const isThere = writing.has(index) || partial.sourceOf(index) !== undefined;
    if (chunk === undefined || isThere) {
      this.#buffers.giveBack(buffer);
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
    }
    this.#buffers.giveBack(buffer);
    if (mark !== undefined) marks.keep(index, mark);
    // Caught while its chunk was being written: what was dropped meanwhile did not include it.
    if (mark !== undefined && swarm.isBanned(mark.signer)) {
      await this.#forget([index]);
      return 'useless';
    }
    metrics.peerBytes.inc(length);
    // Who passes on what matched the map speaks for nothing: only whoever claims the map has seen the whole.
    const claimant = this.#isClaimedBy(peer) ? peer : undefined;
    blob.marked(index, 'peer', peer, mark?.signer ?? claimant);
    return mark === undefined ? 'map' : 'mark';
  }
}

/** What the rules are told of a failed request. @param isHolder whether the peer said to hold the whole */
function outcomeOf(error: unknown, isHolder: boolean): 'busy' | 'missing' | 'failed' {
  if (isAgentError(error, 'PEER_BUSY')) return 'busy';
  return isAgentError(error, 'PEER_MISSING') && !isHolder ? 'missing' : 'failed';
}
