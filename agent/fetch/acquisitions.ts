import type { Digest } from '../../protocol/digest.ts';
import { AgentError, isAgentError } from '../errors.ts';
import type { Repository } from '../oci/reference.ts';
import { Acquisition } from './acquisition.ts';
import type { FetchInit } from './init.ts';
import { lanesFor } from './peer-lane.ts';
import type { Store } from './ports.ts';
import { Proven } from './proven.ts';
import type { Worlds } from './worlds.ts';

/** What of a blob is wanted. */
export interface Wanted {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly size: number;
  /** The byte its reader starts at. */
  readonly position: number;
}

/** The acquisitions under way: one a digest, whoever wants it. */
export class Acquisitions {
  readonly #store: Pick<Store, 'isPrivate' | 'keepPrivate'>;
  readonly #worlds: Worlds;
  readonly #init: FetchInit;
  readonly #proven = new Proven();
  /** Each ends soon after its last reader has left, so clients bound their number. */
  readonly #running = new Map<Digest, Acquisition>();
  #stopped: unknown;

  constructor(store: Pick<Store, 'isPrivate' | 'keepPrivate'>, worlds: Worlds, init: FetchInit) {
    this.#store = store;
    this.#worlds = worlds;
    this.#init = init;
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
   * The digest's one acquisition, started where there is none.
   * @throws AgentError CONTENT_UNAVAILABLE where what may be private cannot be kept so; the reason of {@link stop}
   */
  async acquire({ repository, digest, size, position }: Wanted): Promise<Acquisition> {
    for (;;) {
      if (this.#stopped !== undefined) throw this.#stopped;
      const running = this.#running.get(digest);
      if (running === undefined) break;
      if (!running.isEnding) {
        if (!this.isGuest(repository, running)) running.join(repository);
        return running;
      }
      // It still holds the partial that the next one needs.
      await running.ended;
    }
    // What a try that broke off has left on disk is as private as it was.
    const isAlone = this.#worlds.mayBePrivate(repository) || this.#store.isPrivate(digest);
    if (isAlone) this.#keepPrivate(digest);
    const { components, sharing } = this.#worlds.with(isAlone);
    const acquisition = new Acquisition({ ...components, sharing, proven: this.#proven }, this.#init, {
      digest,
      size,
      repository,
      position,
      isAlone,
      lanes: () => lanesFor(this.#running.size),
    });
    this.#running.set(digest, acquisition);
    acquisition.ended.then(() => this.#running.delete(digest));
    return acquisition;
  }

  /** Whether it only reads what others take: what it may have with credentials must not be taken where peers share. */
  isGuest(repository: Repository, { isAlone }: Acquisition): boolean {
    return !isAlone && this.#worlds.mayBePrivate(repository);
  }

  /** Stops every acquisition and waits until each has let go. None begins any more. */
  async stop(reason: unknown): Promise<void> {
    this.#stopped = reason;
    const running = [...this.#running.values()];
    for (const acquisition of running) acquisition.stop(reason);
    await Promise.all(running.map((acquisition) => acquisition.ended));
  }

  /** Before the first byte is written. @throws AgentError CONTENT_UNAVAILABLE: what cannot be kept private is not taken */
  #keepPrivate(digest: Digest): void {
    try {
      this.#store.keepPrivate(digest);
    } catch (cause) {
      if (isAgentError(cause)) throw cause;
      throw new AgentError('CONTENT_UNAVAILABLE', `it cannot be noted that ${digest} is private`, { cause });
    }
  }
}
