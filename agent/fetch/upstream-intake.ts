import { briefly, isAgentError } from '../errors.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { Holders } from './holders.ts';
import type { InFlight } from './in-flight.ts';
import type { FetchComponents } from './init.ts';
import type { Marks } from './marks.ts';
import type { Partial } from './ports.ts';
import { givesWay } from './repositories.ts';
import type { OwnPart } from './rules/own-part.ts';
import type { Sharing } from './sharing.ts';
import { takeFromUpstream } from './upstream-lane.ts';

export interface UpstreamIntakeComponents extends Pick<FetchComponents, 'upstream' | 'logger'> {
  readonly sharing: Sharing;
  readonly holders: Pick<Holders, 'notice'>;
  readonly blob: InFlight;
  /** Where the blob may be asked for, best first. */
  readonly repositories: Repository[];
}

/** What both ways in share: what one writes the other leaves alone. */
export interface SharedIntake {
  readonly partial: Partial;
  readonly marks: Marks;
  /** Chunks that are being written: another copy of one is thrown away. */
  readonly writing: Set<number>;
  /** Ends everything under way. */
  readonly signal: AbortSignal;
  /** Tells the rules what has happened. */
  on(event: (own: OwnPart, now: number) => void): void;
}

/** Takes the chunks of one blob from upstream, a segment at a time, for as long as the rules say. */
export class UpstreamIntake {
  readonly #components: UpstreamIntakeComponents;
  readonly #shared: SharedIntake;
  #halt = new AbortController();
  #error: unknown;

  constructor(components: UpstreamIntakeComponents, shared: SharedIntake) {
    this.#components = components;
    this.#shared = shared;
  }

  /** What upstream last failed with, where it did. */
  get error(): unknown {
    return this.#error;
  }

  /** What is being taken is not worth waiting for. */
  halt(): void {
    this.#halt.abort(new Error('others have it by now'));
  }

  /** Chunks `from` to before `to`. @throws what is no fault of upstream's */
  async take(from: number, to: number): Promise<void> {
    const { partial, marks, writing, signal: end, on } = this.#shared;
    const { sharing, holders, upstream, blob, repositories } = this.#components;
    const { digest } = partial;
    const [repository] = repositories;
    if (repository === undefined) return;
    this.#halt = new AbortController();
    const signal = AbortSignal.any([end, this.#halt.signal]);
    let brought = 0;
    let at: number | undefined;
    const leave = (): void => {
      if (at !== undefined) writing.delete(at);
      at = undefined;
    };
    const begin = (index: number): boolean => {
      leave();
      if (writing.has(index) || partial.sourceOf(index) !== undefined) return false;
      at = index;
      writing.add(index);
      return true;
    };
    let isUsable = true;
    try {
      if (!begin(from)) return;
      const open = (offset: number, stop: number | undefined, inner: AbortSignal) =>
        upstream.getBlob(repository, digest, offset, inner, stop);
      await takeFromUpstream(
        { partial, from, to, open, signal },
        {
          received: (bytes) => on((own, now) => own.upstreamBytes(bytes, now)),
          streamed: (position) => blob.streamed(position),
          marked: (index, sha256) => {
            brought++;
            marks.vouch(index, sha256);
            blob.marked(index, 'upstream', repositoryText(repository));
            on((own, now) => own.took(index, 'mark', now));
          },
          goesOn: (index) => {
            // Who was alone when it began asks nobody any more: a neighbour that came since may hold all of it.
            holders.notice();
            return sharing.goesOn(digest, index) && begin(index);
          },
          rangeless: () => on((own) => own.noRange()),
        },
      );
    } catch (error) {
      if (signal.aborted) return;
      isUsable = this.#failed(error, repository, brought);
    } finally {
      leave();
      blob.streamed(0);
      // The client frees the connection a moment after the body's end: who asks at once would open another.
      if (!signal.aborted) await new Promise(setImmediate);
      on((own, now) => own.upstreamEnded(isUsable, now));
    }
  }

  /** Whether upstream is worth asking again. @throws what is no fault of upstream's */
  #failed(error: unknown, repository: Repository, brought: number): boolean {
    const { repositories, logger } = this.#components;
    if (!isAgentError(error)) throw error;
    this.#error = error;
    logger.warn({ repository: repositoryText(repository), ...briefly(error) }, 'upstream broke off');
    // What brought something may bring the rest; what brought nothing would fail the same way again.
    return givesWay(repositories, repository, error) || brought > 0;
  }
}
