import { MIN_CHUNK_SIZE } from '../../protocol/chunks.ts';
import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Repository } from '../oci/reference.ts';
import { Acquisition } from './acquisition.ts';
import { Buffers } from './buffers.ts';
import type { FetchInit } from './init.ts';
import { lanesFor } from './peer-lane.ts';
import type { Store } from './ports.ts';
import type { Disclosure } from './privacy/disclosure.ts';
import type { Proven } from './proven.ts';
import { MOST_LANES } from './rules/part.ts';
import type { World, Worlds } from './worlds.ts';

/**
 * Buffers kept for the next chunks, whatever blob they are of: as many as are under way from peers at a time. Memory that is
 * fresh for each chunk has to be cleared, mapped and given back, which costs more than its decryption.
 */
const KEPT_BUFFERS = MOST_LANES;

/** What of a blob is wanted. */
export interface Wanted {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly size: number;
  /** The byte its reader starts at. */
  readonly position: number;
}

export interface AcquisitionsComponents {
  readonly store: Pick<Store, 'isPrivate' | 'keepPrivate'>;
  readonly worlds: Worlds;
  readonly disclosure: Pick<Disclosure, 'consider'>;
  readonly proven: Proven;
  readonly metrics: Pick<Metrics, 'chunkBuffers'>;
}

/** The acquisitions under way: one a digest, whoever wants it. */
export class Acquisitions {
  readonly #store: Pick<Store, 'isPrivate' | 'keepPrivate'>;
  readonly #worlds: Worlds;
  readonly #disclosure: Pick<Disclosure, 'consider'>;
  readonly #init: FetchInit;
  readonly #proven: Proven;
  readonly #buffers: Buffers;
  /** Each ends soon after its last reader has left, so clients bound their number. */
  readonly #running = new Map<Digest, Acquisition>();
  /** Digests that are brought from elsewhere; settles when each is let go of. */
  readonly #elsewhere = new Map<Digest, Promise<void>>();
  #stopped: unknown;

  constructor({ store, worlds, disclosure, proven, metrics }: AcquisitionsComponents, init: FetchInit) {
    this.#store = store;
    this.#worlds = worlds;
    this.#disclosure = disclosure;
    this.#proven = proven;
    this.#init = init;
    const made = metrics.chunkBuffers.labels('received');
    this.#buffers = new Buffers(MIN_CHUNK_SIZE, KEPT_BUFFERS, () => made.inc());
  }

  /** The size of a blob that is on its way. */
  sizeOf(digest: Digest): number | undefined {
    return this.#running.get(digest)?.layout.size;
  }

  /** Whether any blob is on its way. */
  get areRunning(): boolean {
    return this.#running.size > 0;
  }

  /** Whether a blob is on its way, and takes readers. */
  isComing(digest: Digest): boolean {
    return this.#running.get(digest)?.isEnding === false;
  }

  /**
   * Runs `work`, which writes this digest's partial itself, while nobody fetches it.
   * @throws the reason of `signal`, of {@link stop}
   */
  async apart<Result>(digest: Digest, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#stopped !== undefined) throw this.#stopped;
      const others = this.#running.get(digest)?.ended ?? this.#elsewhere.get(digest);
      if (others === undefined) break;
      await others;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#elsewhere.set(digest, promise);
    try {
      return await work();
    } finally {
      this.#elsewhere.delete(digest);
      resolve();
    }
  }

  /** Waits while the digest is brought from elsewhere. */
  async brought(digest: Digest): Promise<void> {
    await this.#elsewhere.get(digest);
  }

  /**
   * The digest's one acquisition, started where there is none.
   * @throws AgentError STORE_FAILING where what may be private cannot be kept so; the reason of {@link stop}
   */
  async acquire({ repository, digest, size, position }: Wanted): Promise<Acquisition> {
    // Its manifest was asked for a moment ago, mostly, and then this is known.
    const mayTell = this.#worlds.standings.isShared(repository) || (await this.#worlds.standings.decide(repository));
    for (;;) {
      if (this.#stopped !== undefined) throw this.#stopped;
      const running = this.#running.get(digest);
      const elsewhere = this.#elsewhere.get(digest);
      if (running === undefined && elsewhere === undefined) break;
      if (running === undefined) {
        await elsewhere;
        continue;
      }
      if (!running.isEnding) {
        if (running.isAlone || mayTell) running.join(repository);
        return running;
      }
      // It still holds the partial that the next one needs.
      await running.ended;
    }
    // What a try that broke off has left on disk is as private as it was.
    const isAlone = !mayTell || this.#store.isPrivate(digest);
    if (!mayTell) this.#keepPrivate(digest, repository);
    const { components, sharing } = this.#worlds.with(isAlone);
    const acquisition = new Acquisition(
      { ...components, sharing, proven: this.#proven, buffers: this.#buffers },
      this.#init,
      {
        digest,
        size,
        repository,
        position,
        isAlone,
        lanes: () => lanesFor(this.#running.size),
      },
    );
    this.#running.set(digest, acquisition);
    if (isAlone) this.#disclosure.consider(repository, [digest]);
    acquisition.ended.then(() => this.#running.delete(digest));
    return acquisition;
  }

  /** Whether it only reads what others take: what it may have with credentials must not be taken where peers share. */
  isGuest(repository: Repository, { isAlone }: Acquisition): boolean {
    return !isAlone && this.#worlds.isAlone(repository);
  }

  /** With whom a blob would be taken. */
  worldOf({ repository, digest }: Pick<Wanted, 'repository' | 'digest'>): World {
    return this.#worlds.with(this.#worlds.isAlone(repository) || this.#store.isPrivate(digest));
  }

  /** Stops every acquisition and waits until each has let go. None begins any more. */
  async stop(reason: unknown): Promise<void> {
    this.#stopped = reason;
    const running = [...this.#running.values()];
    for (const acquisition of running) acquisition.stop(reason);
    await Promise.all([...running.map((acquisition) => acquisition.ended), ...this.#elsewhere.values()]);
  }

  /** Before the first byte is written. @throws AgentError STORE_FAILING: what cannot be kept private is not stored */
  #keepPrivate(digest: Digest, { registry }: Repository): void {
    try {
      this.#store.keepPrivate(digest, registry);
    } catch (cause) {
      if (isAgentError(cause)) throw cause;
      throw new AgentError('STORE_FAILING', `it cannot be noted that ${digest} is private`, { cause });
    }
  }
}
