import type { Logger } from 'pino';
import { CHUNK_HASH_LENGTH, type ChunkMap, chunkHash, chunkMap, chunkMapRoot } from '../../protocol/chunk-map.ts';
import { type ChunkLayout, chunkLength, layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, briefly, isAgentError } from '../errors.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import { judge, liars } from './blame.ts';
import { Change } from './change.ts';
import { chooseSource } from './choice.ts';
import { Holders } from './holders.ts';
import { InFlight } from './in-flight.ts';
import type { FetchComponents, FetchInit } from './init.ts';
import { takeFromPeer } from './peer-lane.ts';
import type { Partial, Source } from './ports.ts';
import { type Piece, Readers } from './readers.ts';
import { takeFromUpstream } from './upstream-lane.ts';

/** How long a pull with no other source waits for late answers of a look-up before it fails. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

/** How often content that does not match is taken again before the acquisition gives up. */
const MAX_MISMATCHES = 3;

/** Repositories one digest is asked for from, at most: it may be denied in one and public in another. */
const MAX_REPOSITORIES = 8;

/** What is to be acquired. */
export interface Wanted {
  readonly digest: Digest;
  readonly size: number;
  readonly repository: Repository;
  /** The byte its first reader will start at. */
  readonly position: number;
  /** How many chunks it may have under way from a peer. */
  lanes(): number;
}

/**
 * The one acquisition of a digest: takes what is missing from peers and upstream, marks it chunk by chunk, and lets
 * any number of readers follow. It ends complete (the blob is in the store) or failed.
 */
export class Acquisition {
  readonly digest: Digest;
  readonly layout: ChunkLayout;
  /** Settles when it has ended and let go of everything; never rejects. */
  readonly ended: Promise<void>;

  readonly #components: FetchComponents;
  readonly #init: FetchInit;
  readonly #logger: Logger;
  readonly #change = new Change();
  readonly #stop = new AbortController();
  readonly #blob: InFlight;
  readonly #readers: Readers;
  readonly #holders: Holders;
  readonly #repositories: Repository[] = [];
  readonly #firstPosition: number;
  readonly #lanes: () => number;
  #mismatches = 0;
  #upstreamError: unknown;

  constructor(components: FetchComponents, init: FetchInit, wanted: Wanted) {
    const { digest, size, repository, position, lanes } = wanted;
    this.digest = digest;
    this.layout = layoutOf(size);
    this.#components = components;
    this.#init = init;
    this.#logger = components.logger.child({ digest });
    this.#firstPosition = position;
    this.#lanes = lanes;
    this.#blob = new InFlight(this.layout, this.#change);
    this.#holders = new Holders(components.swarm, digest, size, () => this.#change.notify());
    this.#readers = new Readers(this.#blob, {
      digest,
      holdFor: init.holdFor,
      isReleased: () => components.swarm.isTrusted || this.#holders.isCorroborated(),
      onAbandoned: () => this.stop(new AgentError('CONTENT_UNAVAILABLE', `nobody waits for ${digest} any more`)),
    });
    this.join(repository);
    this.ended = this.#run();
  }

  /** Whether it takes no more readers: it has ended, or is letting go. */
  get isEnding(): boolean {
    return this.#blob.outcome !== undefined || this.#stop.signal.aborted;
  }

  /** Another repository asks for this digest: one more place upstream where it may be had. */
  join(repository: Repository): void {
    const known = this.#repositories.some((r) => r.registry === repository.registry && r.name === repository.name);
    if (!known && this.#repositories.length < MAX_REPOSITORIES) this.#repositories.push(repository);
  }

  /** Ends it; what is marked stays on disk. */
  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  /** The bytes from `start` to before `end`; see {@link Readers.read}. */
  read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Piece, void> {
    return this.#readers.read(start, end, signal);
  }

  /** Waits for the end; see {@link Readers.whole}. */
  whole(signal: AbortSignal): Promise<void> {
    return this.#readers.whole(signal);
  }

  /** Where the byte at `position` came from in this acquisition. */
  sourceAt(position: number): Source | undefined {
    return this.#blob.sourceOf(Math.floor(position / this.layout.chunkSize));
  }

  async #run(): Promise<void> {
    const signal = this.#stop.signal;
    const started = performance.now();
    try {
      this.#holders.look(signal);
      const partial = await this.#components.store.openPartial(this.digest, this.layout.size, signal);
      this.#blob.open(partial);
      const resumed = partial.marked;
      do {
        await this.#takeMissing(partial, started, signal);
      } while (!(await this.#commit(partial)));
      this.#blameLiars(partial);
      this.#blob.end({ kind: 'complete' });
      const from = Object.fromEntries(this.#blob.bytesFrom);
      this.#logger.info({ size: this.layout.size, from, ...(resumed > 0 && { resumed }) }, 'blob fetched');
    } catch (error) {
      this.#blob.end({ kind: 'failed', error });
      if (!signal.aborted) this.#logger.warn(briefly(error), 'blob not fetched');
    } finally {
      this.#stop.abort();
      this.#readers.close();
      await this.#blob.close().catch((error) => this.#logger.warn({ err: error }, 'partial not closed'));
    }
  }

  /** Takes chunks from one source after the other until none is missing. */
  async #takeMissing(partial: Partial, started: number, signal: AbortSignal): Promise<void> {
    while (partial.marked < this.layout.count) {
      signal.throwIfAborted();
      const now = performance.now();
      const choice = chooseSource({
        now,
        candidates: this.#holders.candidates(),
        lookup: {
          done: this.#holders.done,
          deadline: started + this.#init.lookupTimeout,
          patience: started + LOOKUP_PATIENCE,
        },
        upstreamUsable: this.#repositories.length > 0 && this.#upstreamError === undefined,
      });
      if (choice.kind === 'fail') throw this.#upstreamError ?? this.#nobody();
      if (choice.kind === 'wait') await this.#change.next(signal, choice.until - now);
      else if (choice.kind === 'peer') await this.#takeFromPeer(partial, choice.peer, signal);
      else await this.#takeFromUpstream(partial, signal);
    }
  }

  async #takeFromPeer(partial: Partial, peer: string, signal: AbortSignal): Promise<void> {
    const holder = this.#holders.get(peer);
    if (holder === undefined) return;
    try {
      const map = await this.#holders.adopt(holder, signal);
      await this.#drop(partial, disagreeing(partial, map));
      await takeFromPeer(
        {
          partial,
          holder,
          map,
          lanes: this.#lanes,
          next: (taken) => this.#nextMissing(partial, taken),
          heldBack: () => this.#components.download?.held ?? 0,
          signal,
        },
        (index) => {
          this.#components.metrics.peerBytes.inc(chunkLength(this.layout, index));
          this.#blob.marked(index, 'peer', peer);
        },
      );
    } catch (error) {
      signal.throwIfAborted();
      this.#holders.failed(peer, error);
      if (isAgentError(error, 'DIGEST_MISMATCH')) this.#components.metrics.refusedChunks.inc({ source: 'peer' });
      // A holder with a low limit says so twice a second to each blob that waits for it: that is all well.
      const level = isAgentError(error, 'PEER_BUSY') ? 'debug' : 'warn';
      this.#logger[level]({ peer, address: holder.address, ...briefly(error) }, 'peer given up for this blob');
      if (!isAgentError(error)) throw error;
    }
  }

  async #takeFromUpstream(partial: Partial, signal: AbortSignal): Promise<void> {
    const repository = this.#repositories[0] as Repository;
    const before = partial.marked;
    try {
      await takeFromUpstream(
        {
          partial,
          from: this.#nextMissing(partial, new Set()) ?? 0,
          open: (offset, inner) => this.#components.upstream.getBlob(repository, this.digest, offset, inner),
          enough: () => this.#holders.anyUsable(performance.now()),
          signal,
        },
        {
          streamed: (to) => this.#blob.streamed(to),
          marked: (index) => this.#blob.marked(index, 'upstream', repositoryText(repository)),
        },
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!isAgentError(error)) throw error;
      const elsewhere = isAgentError(error, 'BLOB_UNKNOWN', 'UPSTREAM_DENIED') && this.#repositories.length > 1;
      if (elsewhere) this.#repositories.shift();
      // What brought something may bring the rest; what brought nothing would fail the same way again.
      else if (partial.marked === before) this.#upstreamError = error;
      this.#logger.warn({ repository: repositoryText(repository), ...briefly(error) }, 'upstream broke off');
    } finally {
      this.#blob.streamed(0);
    }
  }

  /** Whether the blob is whole and in the store; where it does not match, what is to blame is dropped. */
  async #commit(partial: Partial): Promise<boolean> {
    this.#blob.isCommitting = true;
    try {
      await partial.commit(null);
      return true;
    } catch (error) {
      if (!isAgentError(error, 'DIGEST_MISMATCH') || ++this.#mismatches > MAX_MISMATCHES) throw error;
    }
    this.#blob.isCommitting = false;
    const suspects = Array.from({ length: this.layout.count }, (_, index) => ({
      index,
      source: this.#blob.sourceOf(index) as Source,
    }));
    const verdict = judge(suspects);
    this.#logger.warn({ mapIsFalse: verdict.mapIsFalse, again: verdict.drop.length }, 'whole blob does not match');
    await this.#drop(partial, verdict.drop);
    const blamed = this.#holders.dropMap(verdict.mapIsFalse);
    for (const peer of blamed) this.#components.swarm.strike(peer, 'lied');
    if (verdict.upstreamIsWrong) {
      throw new AgentError('UPSTREAM_MISMATCH', `upstream sent ${this.layout.size} bytes that are not ${this.digest}`);
    }
    return false;
  }

  /** Forgets chunks that are false, or may be: they are taken again. */
  async #drop(partial: Partial, indexes: readonly number[]): Promise<void> {
    await partial.unmark(indexes);
    for (const index of indexes) {
      this.#blob.forget(index);
      this.#readers.mislead(index);
    }
  }

  /** With the blob verified its true chunk map is known, and with it who claimed another. */
  #blameLiars(partial: Partial): void {
    const hashes = Buffer.alloc(this.layout.count * CHUNK_HASH_LENGTH);
    for (let index = 0; index < this.layout.count; index++) {
      hashes.set(partial.hashOf(index) as Uint8Array, index * CHUNK_HASH_LENGTH);
    }
    const root = chunkMapRoot(chunkMap(this.digest, this.layout.size, hashes));
    for (const peer of liars(root, this.#holders.candidates())) {
      this.#logger.warn({ peer }, 'peer claimed a false chunk map');
      this.#components.swarm.strike(peer, 'lied');
    }
  }

  /** The missing chunk a reader needs first; behind the readers, the first missing one. */
  #nextMissing(partial: Partial, taken: ReadonlySet<number>): number | undefined {
    const isMissing = (index: number) => partial.sourceOf(index) === undefined && !taken.has(index);
    for (const position of [...this.#readers.positions, this.#firstPosition]) {
      for (let index = Math.floor(position / this.layout.chunkSize); index < this.layout.count; index++) {
        if (isMissing(index)) return index;
      }
    }
    for (let index = 0; index < this.layout.count; index++) if (isMissing(index)) return index;
    return undefined;
  }

  #nobody(): AgentError {
    return new AgentError('CONTENT_UNAVAILABLE', `nobody has ${this.digest} and no upstream is known for it`);
  }
}

/** The marked chunks that came from peers, perhaps in an earlier run, and are not what this map says. */
function disagreeing(partial: Partial, map: ChunkMap): number[] {
  const indexes: number[] = [];
  for (let index = 0; index < partial.layout.count; index++) {
    if (partial.sourceOf(index) !== 'peer') continue;
    if (Buffer.compare(partial.hashOf(index) as Uint8Array, chunkHash(map, index)) !== 0) indexes.push(index);
  }
  return indexes;
}
