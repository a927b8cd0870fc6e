import type { Logger } from 'pino';
import { type ChunkLayout, layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, briefly } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import { Buffers } from './buffers.ts';
import { Change } from './change.ts';
import { Commit } from './commit.ts';
import { followHolders } from './guide.ts';
import { HeadStart } from './head-start.ts';
import { Holders } from './holders.ts';
import { InFlight } from './in-flight.ts';
import type { FetchComponents, FetchInit } from './init.ts';
import { Inquiry } from './inquiry.ts';
import { Intake } from './intake.ts';
import type { Partial, Source } from './ports.ts';
import type { Proven } from './proven.ts';
import { type Piece, Readers } from './readers.ts';
import { resumed } from './resumed.ts';
import { MAP_PATIENCE } from './rules/search.ts';
import type { Sharing } from './sharing.ts';
import { isStoreFailure } from './store-failure.ts';

/** How long a pull with no other source waits for late answers of a look-up before it fails. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

/** Buffers that a blob keeps for its next chunks where it does not share those of all. */
const KEPT_BUFFERS = 2;

/** Repositories one digest is asked for from, at most: it may be denied in one and public in another. */
const MAX_REPOSITORIES = 8;

export interface AcquisitionComponents extends FetchComponents {
  readonly sharing: Sharing;
  readonly proven: Proven;
  /** For the chunks of all blobs whose chunks are of that size. */
  readonly buffers: Buffers;
}

/** What is to be acquired. */
export interface Wanted {
  readonly digest: Digest;
  readonly size: number;
  readonly repository: Repository;
  /** The byte its first reader will start at. */
  readonly position: number;
  /** Whether peers have no part in it: see {@link nobody}. */
  readonly isAlone: boolean;
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
  readonly isAlone: boolean;
  /** Settles when it has ended and let go of everything; never rejects. */
  readonly ended: Promise<void>;

  readonly #components: AcquisitionComponents;
  readonly #init: FetchInit;
  readonly #logger: Logger;
  readonly #change = new Change();
  readonly #stop = new AbortController();
  readonly #blob: InFlight;
  readonly #readers: Readers;
  readonly #holders: Holders;
  /** For the blob's chunks. */
  readonly #buffers: Buffers;
  readonly #headStart: HeadStart;
  readonly #repositories: Repository[] = [];
  readonly #firstPosition: number;
  readonly #lanes: () => number;
  readonly #started = performance.now();
  /** A holder was found, or one that was found is of no more use. */
  readonly #sources = new Change();
  /** Whether a peer's word had held for earlier blobs when this one was begun. */
  readonly #wasRight: (peer: string) => boolean;
  #isStuck = false;
  #upstreamError: unknown;

  constructor(components: AcquisitionComponents, init: FetchInit, wanted: Wanted) {
    const { digest, size, repository, position, isAlone, lanes } = wanted;
    this.digest = digest;
    this.isAlone = isAlone;
    this.layout = layoutOf(size);
    this.#components = components;
    this.#init = init;
    this.#logger = components.logger.child({ digest });
    this.#wasRight = (peer) => components.proven.has(peer, this.#started);
    this.#firstPosition = position;
    this.#lanes = lanes;
    this.#blob = new InFlight(this.layout, this.#change, (index, sha256) => this.#readers.kept(index, sha256));
    const length = Math.min(this.layout.chunkSize, size);
    const { buffers, swarm } = components;
    this.#buffers = buffers.size === length ? buffers : new Buffers(length, KEPT_BUFFERS);
    const first = this.#chunkAt(position);
    this.#headStart = new HeadStart(this.layout, first, this.#buffers, (chunk) => this.#blob.arrived(first, chunk));
    this.#holders = new Holders(swarm, digest, size, () => {
      this.#getAhead();
      this.#isStuck = false;
      this.#sources.notify();
      this.#change.notify();
    });
    this.#readers = new Readers(this.#blob, {
      digest,
      holdFor: init.holdFor,
      isReleased: (index) => this.#isReleased(index),
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
    let intake: Intake | undefined;
    let background: Promise<unknown> | undefined;
    let isWhole = false;
    try {
      this.#holders.look(signal);
      await this.#headStart.settled();
      const partial = await this.#components.store.openPartial(this.digest, this.layout.size, signal);
      this.#blob.open(partial);
      const before = partial.marked;
      intake = this.#begin(partial);
      const logger = this.#logger;
      const onDropped = (indexes: readonly number[]) => {
        for (const index of indexes) this.#readers.mislead(index);
        this.#sources.notify();
      };
      const inquiry = new Inquiry(
        { ...this.#components, logger, repositories: this.#repositories },
        partial,
        intake,
        onDropped,
      );
      intake.inquiry = inquiry;
      const [blob, holders] = [this.#blob, this.#holders];
      const commit = new Commit({ ...this.#components, holders, blob, intake, inquiry, logger, onDropped }, partial);
      background = Promise.all([
        followHolders(partial, intake, inquiry, this.#holders, this.#components.sharing, this.#sources, signal),
        inquiry.run(signal),
      ]).catch((error) => this.#fail(error));
      do {
        await this.#allThere(partial, signal);
      } while (!(await commit.attempt(signal)));
      isWhole = true;
      this.#blob.end({ kind: 'complete' });
      const from = Object.fromEntries(this.#blob.bytesFrom);
      this.#logger.info({ size: this.layout.size, from, ...(before > 0 && { resumed: before }) }, 'blob fetched');
    } catch (error) {
      this.#blob.end({ kind: 'failed', error });
      // The store says so itself, once, and the pull goes on without it.
      if (!signal.aborted) this.#logger[isStoreFailure(error) ? 'debug' : 'warn'](briefly(error), 'blob not fetched');
    } finally {
      this.#stop.abort();
      if (intake !== undefined) this.#components.sharing.leave(this.digest, isWhole);
      this.#headStart.close();
      this.#readers.close();
      await background;
      await intake?.settled();
      await this.#blob.close().catch((error) => this.#logger.warn({ err: error }, 'partial not closed'));
    }
  }

  /** Joins those of the LAN who take the blob too; from here on the rules say what is taken from where. */
  #begin(partial: Partial): Intake {
    const { signal } = this.#stop;
    const intake = new Intake(
      {
        ...this.#components,
        holders: this.#holders,
        blob: this.#blob,
        buffers: this.#buffers,
        logger: this.#logger,
        repositories: this.#repositories,
      },
      {
        signal,
        reading: () => this.#reading(),
        onStuck: (error) => {
          this.#isStuck = true;
          this.#upstreamError = error;
          this.#change.notify();
        },
        onFailure: (error) => this.#fail(error),
      },
      partial,
    );
    const early = this.#headStart.claim();
    if (early !== undefined) intake.follow(early);
    const [first, searchUntil] = [this.#reading().first, this.#searchUntil()];
    const wanted = { ...resumed(partial, intake.marks), searchUntil, first };
    const { sharing } = this.#components;
    sharing.join(this.digest, this.layout.size, early === undefined ? wanted : { ...wanted, asked: early }, intake);
    return intake;
  }

  #reading(): { lanes: number; first: number; streams: boolean } {
    const position = this.#readers.first ?? this.#firstPosition;
    const isShown = this.#components.swarm.isTrusted || this.#holders.isCorroborated(this.#wasRight);
    // A client that has read all but what is held back waits for what is missing, wherever that is.
    return { lanes: this.#lanes(), first: this.#chunkAt(position), streams: isShown };
  }

  #chunkAt(position: number): number {
    return Math.min(Math.floor(position / this.layout.chunkSize), Math.max(0, this.layout.count - 1));
  }

  /** Only of whose chunks a client sees before the whole has matched: what comes sooner is of no use where it waits. */
  #getAhead(): void {
    if (!this.#components.swarm.isTrusted) return;
    const holder = this.#holders.best()?.holders.find(({ peer }) => this.#wasRight(peer));
    if (holder !== undefined) this.#headStart.ask(holder, () => this.#holders.mapOf(holder));
  }

  /**
   * Until when the look-up holds upstream back. Whoever was found already is about to be made use of, however long it took
   * to open the partial: on a busy host that is longer than the look-up may take.
   */
  #searchUntil(): number {
    if (this.#holders.best() !== undefined) return performance.now() + MAP_PATIENCE;
    return this.#holders.done ? this.#started : this.#started + this.#init.lookupTimeout;
  }

  /** Waits until no chunk is missing. @throws what ends the acquisition */
  async #allThere(partial: Partial, signal: AbortSignal): Promise<void> {
    const patience = this.#started + LOOKUP_PATIENCE;
    while (partial.marked < this.layout.count) {
      signal.throwIfAborted();
      const now = performance.now();
      if (this.#isStuck && (this.#holders.done || now >= patience)) throw this.#upstreamError ?? this.#nobody();
      await this.#change.next(signal, this.#isStuck ? patience - now : undefined);
    }
  }

  #fail(error: unknown): void {
    this.stop(error);
  }

  /**
   * Whether a chunk that a peer sent may be shown before the whole has matched: where a corroborated map describes it, or,
   * with a network key, where whoever vouches for it was right before. Who merely passed it on vouches for nothing.
   */
  #isReleased(index: number): boolean {
    const { swarm } = this.#components;
    const wasRight = this.#wasRight;
    const voucher = this.#blob.voucherOf(index);
    if (swarm.isTrusted && voucher !== undefined && wasRight(voucher)) return true;
    const isVouched =
      this.#holders.isCorroborated(wasRight) || (swarm.isTrusted && this.#holders.isClaimedBy(wasRight));
    return isVouched && this.#holders.describes(index, this.#blob.hashOf(index));
  }

  #nobody(): AgentError {
    return new AgentError('CONTENT_UNAVAILABLE', `nobody has ${this.digest} and no upstream is known for it`);
  }
}
