import { type ChunkMap, chunkMapRoot, chunkMatches } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import { Change } from './change.ts';
import { withDeadline } from './deadline.ts';
import { Holders } from './holders.ts';
import type { FetchComponents, FetchInit } from './init.ts';
import { CHUNK_DEADLINE } from './peer-lane.ts';
import type { Proven } from './proven.ts';

/** How long a pull with no other source waits for late answers of a look-up. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

/**
 * A chunk that all who hold it are too busy to give is asked for again after a moment, which is doubled each time, for so
 * long in all: a chunk on its way to somebody else is kept from others for two seconds at most. Milliseconds.
 */
const BUSY_PAUSE = 30;
const LONGEST_PAUSE = 500;
const BUSY_PATIENCE = 3_000;

/** Chunks asked for before the one that the client is given: enough to fill the link, little enough for memory. */
const AHEAD = 3;

/** The peers that hold a blob which is taken past the store, for one client. */
export class UnstoredHolders {
  readonly #components: FetchComponents;
  readonly #proven: Proven;
  readonly #init: FetchInit;
  readonly #isSmall: boolean;
  readonly #size: number;
  readonly #signal: AbortSignal;
  readonly #change = new Change();
  readonly #holders: Holders;
  readonly #since = performance.now();
  #map: ChunkMap | undefined;
  /** Bytes of peers since the whole was last matched. */
  #given = 0;

  /** @param isSmall nothing of it is shown before all of it has matched, so that anybody's word will do to begin with */
  constructor(
    components: FetchComponents,
    proven: Proven,
    init: FetchInit,
    { digest, size, isSmall }: { digest: Digest; size: number; isSmall: boolean },
    signal: AbortSignal,
  ) {
    this.#components = components;
    this.#proven = proven;
    this.#init = init;
    this.#isSmall = isSmall;
    this.#size = size;
    this.#signal = signal;
    this.#holders = new Holders(components.swarm, digest, size, () => this.#change.notify());
    this.#holders.look(signal);
  }

  /**
   * Whether chunks can be had here now that may be shown as they come.
   * @param isAllThereIs nobody else can give them: then it is waited for as long as a client is held back at most
   * @throws the reason of the signal
   */
  async ready(isAllThereIs: boolean): Promise<boolean> {
    for (;;) {
      this.#signal.throwIfAborted();
      const waited = performance.now() - this.#since;
      const best = this.#holders.best();
      const [holder] = best?.holders ?? [];
      if (holder !== undefined) {
        try {
          this.#map = await this.#holders.adopt(holder, this.#signal);
        } catch (error) {
          this.#signal.throwIfAborted();
          this.#holders.failed(holder.peer, error);
          continue;
        }
        if (this.#isGoodEnough() || (isAllThereIs && waited >= this.#init.holdFor)) return true;
      }
      const patience = this.#patience(isAllThereIs, holder !== undefined);
      const isOver = this.#holders.done && !(isAllThereIs && holder !== undefined);
      if (isOver || waited >= patience) return false;
      await this.#change.next(this.#signal, patience - waited);
    }
  }

  /** The bytes from `position` to before `end`, once {@link ready} has said so. @throws AgentError where nobody is left */
  async *read(position: number, end: number): AsyncGenerator<Uint8Array, void> {
    const map = this.#map;
    if (map === undefined) throw new AgentError('PEER_MISSING', 'no peer holds it');
    const { layout } = map;
    const last = Math.floor((end - 1) / layout.chunkSize);
    const over = new AbortController();
    const signal = AbortSignal.any([this.#signal, over.signal]);
    const ahead: Promise<Uint8Array>[] = [];
    let next = Math.floor(position / layout.chunkSize);
    try {
      for (let at = position; at < end; ) {
        while (next <= last && ahead.length <= AHEAD) ahead.push(started(this.#chunk(map, next++, signal)));
        const bytes = await (ahead.shift() as Promise<Uint8Array>);
        const start = chunkStart(layout, Math.floor(at / layout.chunkSize));
        const piece = bytes.subarray(at - start, end - start);
        at += piece.length;
        this.#given += piece.length;
        yield piece;
      }
    } finally {
      over.abort(new Error('nobody wants more of it'));
    }
  }

  /** The whole has matched: who gave the map that its chunks were matched to was right. */
  prove(): void {
    if (this.#given === 0 || this.#map === undefined) return;
    const root = chunkMapRoot(this.#map);
    const chunks = Math.ceil(this.#given / this.#map.layout.chunkSize);
    for (const { peer, root: claimed } of this.#holders.candidates()) {
      if (claimed === root) this.#proven.add(peer, chunks, performance.now());
    }
  }

  /** The whole has not matched. @returns whether peers had a part in it: then those are not asked again */
  blame(): boolean {
    const given = this.#given;
    this.#given = 0;
    this.#map = undefined;
    if (given === 0) return false;
    // Where upstream gave some of it too, it may be upstream's fault.
    const liars = this.#holders.dropMap(given === this.#size);
    for (const peer of liars) {
      this.#components.logger.warn({ peer }, 'peer claimed a false chunk map');
      this.#components.swarm.strike(peer, 'lied');
    }
    return true;
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await new Change().next(signal, Math.min(ms, LONGEST_PAUSE));
    signal.throwIfAborted();
  }

  #patience(isAllThereIs: boolean, isFound: boolean): number {
    if (!isAllThereIs) return this.#init.lookupTimeout;
    return isFound ? this.#init.holdFor : LOOKUP_PATIENCE;
  }

  #isGoodEnough(): boolean {
    // Past the store nothing can wait for the whole: here the word of two addresses counts, whoever they are.
    if (this.#isSmall || this.#holders.isCorroborated(() => true)) return true;
    return this.#components.swarm.isTrusted && this.#holders.isClaimedBy((peer) => this.#proven.has(peer, this.#since));
  }

  async #chunk(map: ChunkMap, index: number, signal: AbortSignal): Promise<Uint8Array> {
    const length = chunkLength(map.layout, index);
    const heldBack = () => this.#components.download?.held ?? 0;
    const since = performance.now();
    for (let busy = 0; ; ) {
      const best = this.#holders.best();
      if (best?.root !== chunkMapRoot(map)) throw new AgentError('PEER_MISSING', 'no peer holds it any more');
      // In turn, so that all share the work.
      const holder = best.holders[(index + busy) % best.holders.length];
      if (holder === undefined) throw new AgentError('PEER_MISSING', 'no peer holds it any more');
      try {
        const take = (inner: AbortSignal) => holder.chunk(index, length, inner);
        const { bytes } = await withDeadline(signal, CHUNK_DEADLINE, 'a chunk', take, heldBack);
        if (!chunkMatches(map, index, bytes)) {
          this.#components.metrics.refusedChunks.inc({ source: 'peer' });
          throw new AgentError('DIGEST_MISMATCH', `chunk ${index} does not match its hash`);
        }
        this.#components.metrics.peerBytes.inc(length);
        return bytes;
      } catch (error) {
        signal.throwIfAborted();
        if (!isAgentError(error)) throw error;
        if (!isAgentError(error, 'PEER_BUSY') || performance.now() - since >= BUSY_PATIENCE) {
          this.#holders.failed(holder.peer, error);
          continue;
        }
        busy += 1;
        const rounds = busy / best.holders.length;
        if (Number.isInteger(rounds)) await this.#pause(BUSY_PAUSE * 2 ** (rounds - 1), signal);
      }
    }
  }
}

/** It is awaited in its turn; until then a failure must not count as unhandled. */
function started<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}
