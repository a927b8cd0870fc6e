import type { Logger } from 'pino';
import { CHUNK_HASH_LENGTH, chunkMap, chunkMapRoot } from '../../protocol/chunk-map.ts';
import { type ChunkLayout, chunkLength, chunkStart, layoutOf } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, briefly, isAgentError } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import { judge, liars } from './blame.ts';
import { Change } from './change.ts';
import { chooseSource } from './choice.ts';
import { Holders } from './holders.ts';
import { takeFromPeer } from './peer-lane.ts';
import type { Partial, Source, Store, Swarm, Upstream } from './ports.ts';
import { releasedTo } from './release.ts';
import { takeFromUpstream } from './upstream-lane.ts';

/** How long a pull with no other source waits for late answers of a look-up before it fails. Milliseconds. */
const LOOKUP_PATIENCE = 1_000;

/** How long an acquisition goes on with nobody reading: a client that breaks off often comes back. Milliseconds. */
const LINGER = 5_000;

/** How many bytes are read back for a client at a time: enough to be fast, little enough for hundreds of clients. */
const READ_SIZE = 256 * 1024;

/** How often content that does not match is taken again before the acquisition gives up. */
const MAX_MISMATCHES = 3;

/** Repositories one digest is asked for from, at most: it may be denied in one and public in another. */
const MAX_REPOSITORIES = 8;

export interface FetchComponents {
  readonly store: Store;
  readonly upstream: Upstream;
  readonly swarm: Swarm;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** How the fetch role is set. Milliseconds. */
export interface FetchInit {
  /** The longest a look-up for holders holds a pull once upstream could have started. @default 100 */
  readonly lookupTimeout: number;
  /** How long a client waits before it is shown what untrusted peers sent, chunk by chunk. @default 60_000 */
  readonly holdFor: number;
}

interface Reader {
  readonly start: number;
  position: number;
  /** It was shown bytes that turned out false. */
  misled: boolean;
}

/** What a reader of an acquisition was given: the bytes and where they came from. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly source: Source;
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
  /** Why it failed; undefined while it runs and when it is complete. */
  failure: unknown;
  complete = false;

  readonly #components: FetchComponents;
  readonly #init: FetchInit;
  readonly #logger: Logger;
  readonly #change = new Change();
  readonly #stop = new AbortController();
  readonly #holders: Holders;
  readonly #repositories: Repository[] = [];
  /** Where each reader is, in the order they came: the first one's next chunk is taken first. */
  readonly #positions = new Set<Reader>();
  readonly #sources: (Source | undefined)[] = [];
  readonly #wanted: number;
  readonly #bytesFrom = new Map<string, number>();
  #partial: Partial | undefined;
  #streamedTo = 0;
  #reading = 0;
  #committing = false;
  #mismatches = 0;
  #upstreamError: unknown;
  #linger: NodeJS.Timeout | undefined;

  /** @param wanted the byte its first reader will start at */
  constructor(
    components: FetchComponents,
    init: FetchInit,
    { digest, size, repository, wanted }: { digest: Digest; size: number; repository: Repository; wanted: number },
  ) {
    this.#components = components;
    this.#init = init;
    this.digest = digest;
    this.layout = layoutOf(size);
    this.#wanted = wanted;
    this.#logger = components.logger.child({ digest });
    this.#holders = new Holders(components.swarm, digest, size, () => this.#change.notify());
    this.join(repository);
    this.#stopWhenAbandoned();
    this.ended = this.#run();
  }

  /** Whether it takes no more readers: it has ended, or is letting go. */
  get isEnding(): boolean {
    return this.complete || this.failure !== undefined || this.#stop.signal.aborted;
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

  /**
   * The bytes from `start` to before `end` as they become free to be shown. A piece is overwritten once the next one is
   * asked for. Returns early, with the blob in the store,
   * when the acquisition completes: the caller reads the rest there. Throws where it failed.
   */
  async *read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Piece, void> {
    const reader: Reader = { start, position: start, misled: false };
    const since = performance.now();
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, end - start));
    this.#positions.add(reader);
    clearTimeout(this.#linger);
    try {
      while (reader.position < end && !this.complete) {
        signal.throwIfAborted();
        if (this.failure !== undefined) throw this.failure;
        if (reader.misled)
          throw new AgentError('CONTENT_UNAVAILABLE', `bytes of ${this.digest} sent so far were false`);
        const heldFor = performance.now() - since;
        const limit = Math.min(end, this.#releasedTo(reader.position, heldFor));
        if (limit <= reader.position) {
          // At holdFor the same chunks are looked at again, more kindly.
          await this.#change.next(signal, heldFor < this.#init.holdFor ? this.#init.holdFor - heldFor : undefined);
          continue;
        }
        const piece = await this.#readPartial(reader.position, limit, buffer, signal);
        if (piece === undefined) continue;
        reader.position += piece.bytes.length;
        yield piece;
      }
    } finally {
      this.#positions.delete(reader);
      this.#stopWhenAbandoned();
    }
  }

  /** Waits for the end. @throws what it failed with, or the signal's reason */
  async whole(signal: AbortSignal): Promise<void> {
    const waiter: Reader = { start: 0, position: 0, misled: false };
    this.#positions.add(waiter);
    clearTimeout(this.#linger);
    try {
      while (!this.complete) {
        signal.throwIfAborted();
        if (this.failure !== undefined) throw this.failure;
        await this.#change.next(signal);
      }
    } finally {
      this.#positions.delete(waiter);
      this.#stopWhenAbandoned();
    }
  }

  /** Where the byte at `position` came from in this acquisition. */
  sourceAt(position: number): Source | undefined {
    const index = Math.floor(position / this.layout.chunkSize);
    return this.#sources[index];
  }

  async #run(): Promise<void> {
    const signal = this.#stop.signal;
    const started = performance.now();
    try {
      this.#holders.look(signal);
      this.#partial = await this.#components.store.openPartial(this.digest, this.layout.size, signal);
      for (let index = 0; index < this.layout.count; index++) this.#sources[index] = this.#partial.sourceOf(index);
      const resumed = this.#partial.marked;
      do {
        await this.#takeMissing(this.#partial, started, signal);
      } while (!(await this.#commit(this.#partial)));
      this.#blameLiars(this.#partial);
      this.complete = true;
      this.#logger.info(
        { size: this.layout.size, from: Object.fromEntries(this.#bytesFrom), ...(resumed > 0 && { resumed }) },
        'blob fetched',
      );
    } catch (error) {
      this.failure = error;
      if (!signal.aborted) this.#logger.warn(briefly(error), 'blob not fetched');
    } finally {
      this.#stop.abort();
      clearTimeout(this.#linger);
      this.#change.notify();
      await this.#letGo();
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
      const stale = disagreeing(partial, map.hashes);
      await partial.unmark(stale);
      for (const index of stale) this.#forget(index);
      await takeFromPeer(
        { partial, holder, map, next: (taken) => this.#nextMissing(partial, taken), signal },
        (index, length) => this.#marked(index, 'peer', peer, length),
      );
    } catch (error) {
      signal.throwIfAborted();
      this.#holders.failed(peer, error);
      if (isAgentError(error, 'DIGEST_MISMATCH')) this.#components.metrics.refusedChunks.inc({ source: 'peer' });
      this.#logger.warn({ peer, address: holder.address, ...briefly(error) }, 'peer given up for this blob');
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
          streamed: (to) => {
            this.#streamedTo = to;
            this.#change.notify();
          },
          marked: (index, length) => this.#marked(index, 'upstream', repositoryText(repository), length),
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
      this.#streamedTo = 0;
    }
  }

  /** Whether the blob is whole and in the store; where it does not match, what is to blame is dropped. */
  async #commit(partial: Partial): Promise<boolean> {
    this.#committing = true;
    try {
      await partial.commit(null);
      return true;
    } catch (error) {
      if (!isAgentError(error, 'DIGEST_MISMATCH') || ++this.#mismatches > MAX_MISMATCHES) throw error;
    }
    this.#committing = false;
    const suspects = this.#sources.flatMap((source, index) => (source === undefined ? [] : [{ index, source }]));
    const verdict = judge(suspects);
    this.#logger.warn({ mapIsFalse: verdict.mapIsFalse, again: verdict.drop.length }, 'whole blob does not match');
    await partial.unmark(verdict.drop);
    for (const index of verdict.drop) this.#forget(index);
    const blamed = this.#holders.dropMap(verdict.mapIsFalse);
    for (const peer of blamed) this.#components.swarm.strike(peer, 'lied');
    if (verdict.upstreamIsWrong) {
      throw new AgentError('UPSTREAM_MISMATCH', `upstream sent ${this.layout.size} bytes that are not ${this.digest}`);
    }
    return false;
  }

  /** A reader that was shown what is dropped must end short: a resume then gets good bytes. */
  #forget(index: number): void {
    this.#sources[index] = undefined;
    const chunk = chunkStart(this.layout, index);
    for (const reader of this.#positions) {
      if (reader.position > chunk && reader.start < chunk + this.layout.chunkSize) reader.misled = true;
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

  #marked(index: number, source: Source, from: string, length: number): void {
    this.#sources[index] = source;
    this.#bytesFrom.set(from, (this.#bytesFrom.get(from) ?? 0) + length);
    if (source === 'peer') this.#components.metrics.peerBytes.inc(length);
    this.#change.notify();
  }

  /** The missing chunk a reader needs first; behind the readers, the first missing one. */
  #nextMissing(partial: Partial, taken: ReadonlySet<number>): number | undefined {
    const isMissing = (index: number) => partial.sourceOf(index) === undefined && !taken.has(index);
    const positions = [...this.#positions].map((reader) => reader.position);
    for (const position of [...positions, this.#wanted]) {
      for (let index = Math.floor(position / this.layout.chunkSize); index < this.layout.count; index++) {
        if (isMissing(index)) return index;
      }
    }
    for (let index = 0; index < this.layout.count; index++) if (isMissing(index)) return index;
    return undefined;
  }

  #releasedTo(position: number, heldFor: number): number {
    const facts = {
      layout: this.layout,
      sourceOf: (index: number) => this.#sources[index],
      streamedTo: this.#streamedTo,
      peersReleased:
        this.#components.swarm.isTrusted || heldFor >= this.#init.holdFor || this.#holders.isCorroborated(),
    };
    return releasedTo(facts, position);
  }

  /** A piece of what is written, or undefined where the acquisition ended meanwhile. */
  async #readPartial(position: number, limit: number, buffer: Buffer, signal: AbortSignal): Promise<Piece | undefined> {
    const partial = this.#partial;
    if (partial === undefined || this.#stop.signal.aborted) return undefined;
    const index = Math.floor(position / this.layout.chunkSize);
    const chunkEnd = index * this.layout.chunkSize + chunkLength(this.layout, index);
    this.#reading++;
    try {
      const length = Math.min(limit, chunkEnd, position + buffer.length) - position;
      return { bytes: await partial.read(position, length, buffer), source: this.#sources[index] ?? 'upstream' };
    } catch (error) {
      if (!this.#committing) throw error;
      // A commit lets go of the partial before it has told of its end; what is left is then read from the store.
      if (!this.isEnding) await this.#change.next(signal);
      return undefined;
    } finally {
      this.#reading--;
      if (this.#stop.signal.aborted) this.#change.notify();
    }
  }

  #stopWhenAbandoned(): void {
    if (this.#positions.size > 0 || this.#stop.signal.aborted) return;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      this.stop(new AgentError('CONTENT_UNAVAILABLE', `nobody waits for ${this.digest} any more`));
    }, LINGER);
  }

  /** Closes the partial once the last read of it is over. */
  async #letGo(): Promise<void> {
    const forever = new AbortController().signal;
    while (this.#reading > 0) await this.#change.next(forever);
    await this.#partial?.close().catch((error) => this.#logger.warn({ err: error }, 'partial not closed'));
  }

  #nobody(): AgentError {
    return new AgentError('CONTENT_UNAVAILABLE', `nobody has ${this.digest} and no upstream is known for it`);
  }
}

/** The marked chunks that came from peers, perhaps in an earlier run, and are not what this map says. */
function disagreeing(partial: Partial, hashes: Uint8Array): number[] {
  const indexes: number[] = [];
  for (let index = 0; index < partial.layout.count; index++) {
    if (partial.sourceOf(index) !== 'peer') continue;
    const expected = hashes.subarray(index * CHUNK_HASH_LENGTH, (index + 1) * CHUNK_HASH_LENGTH);
    if (Buffer.compare(partial.hashOf(index) as Uint8Array, expected) !== 0) indexes.push(index);
  }
  return indexes;
}
