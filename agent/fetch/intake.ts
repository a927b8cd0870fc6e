import type { Logger } from 'pino';
import type { ChunkMap } from '../../protocol/chunk-map.ts';
import { chunkLength, chunkStart } from '../../protocol/chunks.ts';
import type { Mark } from '../../protocol/mark.ts';
import { type Repository, repositoryText } from '../oci/reference.ts';
import type { Buffers } from './buffers.ts';
import type { EarlyChunk } from './head-start.ts';
import type { Holders } from './holders.ts';
import type { InFlight } from './in-flight.ts';
import type { FetchComponents } from './init.ts';
import { Marks } from './marks.ts';
import { PeerIntake } from './peer-intake.ts';
import type { Partial } from './ports.ts';
import type { OwnPart } from './rules/own-part.ts';
import type { Inquirer, Sharing, Taker } from './sharing.ts';
import { type SharedIntake, UpstreamIntake } from './upstream-intake.ts';

export interface IntakeComponents extends FetchComponents {
  readonly sharing: Sharing;
  readonly holders: Holders;
  /** For the blob's chunks. */
  readonly buffers: Buffers;
  readonly blob: InFlight;
  readonly logger: Logger;
  /** Where the blob may be asked for upstream, best first. */
  readonly repositories: Repository[];
}

export interface IntakeInit {
  /** Ends everything under way. */
  readonly signal: AbortSignal;
  /** How the blob is read just now; see {@link OwnPart.reading}. */
  reading(): { lanes: number; first: number; streams: boolean };
  /** Nobody can give what is missing. @param error what upstream last said, where it said something */
  onStuck(error: unknown): void;
  /** What is no fault of a peer's or upstream's: a disk that fails. */
  onFailure(error: unknown): void;
}

/** Takes the chunks of one blob as the rules wish, verifies and marks them, and tells the rules what came of it. */
export class Intake implements Taker {
  readonly marks: Marks;
  inquiry: Inquirer | undefined;
  readonly #components: IntakeComponents;
  readonly #init: IntakeInit;
  readonly #partial: Partial;
  readonly #running = new Set<Promise<void>>();
  /** Chunks that are being written: another copy of one is thrown away. */
  readonly #writing = new Set<number>();
  readonly #upstream: UpstreamIntake;
  readonly #peers: PeerIntake;

  constructor(components: IntakeComponents, init: IntakeInit, partial: Partial) {
    this.#components = components;
    this.#init = init;
    this.#partial = partial;
    this.marks = new Marks(components.swarm, partial.digest, partial.layout.size);
    const shared: SharedIntake = {
      partial,
      marks: this.marks,
      writing: this.#writing,
      signal: init.signal,
      on: (event) => this.#on(event),
    };
    this.#upstream = new UpstreamIntake(components, shared);
    this.#peers = new PeerIntake(components, shared, (indexes) => this.forget(indexes));
  }

  /** Resolves once nothing is under way any more; to be called after the signal has fired, or all is there. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Takes what was asked for before the rules could be. */
  follow(early: EarlyChunk): void {
    const taking = this.#peers.take(early.peer, early.index, early);
    this.#run(taking.finally(() => this.#components.blob.written(early.index)));
  }

  take(peer: string, index: number): void {
    this.#run(this.#peers.take(peer, index));
  }

  cancel(peer: string, index: number): void {
    this.#peers.cancel(peer, index);
  }

  upstream(from: number, to: number): void {
    let isLeft = false;
    // Somebody has all of it by now, and was not heard of before: in a crowd not all hear what each has.
    if (this.#components.holders.notice()) {
      this.#on((own, now) => {
        isLeft = own.leavesLease(now);
      });
    }
    if (!isLeft) this.#run(this.#upstream.take(from, to));
  }

  halt(): void {
    this.#upstream.halt();
  }

  stuck(): void {
    this.#init.onStuck(this.#upstream.error);
  }

  async chunk(index: number, signal: AbortSignal, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const { layout } = this.#partial;
    if (index >= layout.count || this.#components.blob.sourceOf(index) === undefined) return undefined;
    const start = chunkStart(layout, index);
    const length = chunkLength(layout, index);
    const hasRoom = into !== undefined && into.length >= length;
    const buffer = hasRoom ? into : Buffer.allocUnsafeSlow(length);
    const sha256 = Uint8Array.from(this.#partial.hashOf(index) ?? []);
    const read = await this.#components.blob.read(start, start + length, buffer, signal);
    // Replaced while it was read: old bytes with the new mark would make a liar of this agent.
    return isSame(sha256, this.#partial.hashOf(index)) ? read?.bytes : undefined;
  }

  mark(index: number): Mark | undefined {
    return this.marks.get(index);
  }

  /** Forgets chunks that are false, or may be: they are taken again. */
  async forget(indexes: readonly number[]): Promise<void> {
    // While the whole is being matched nothing of it may change.
    while (this.#isWanted() && this.#components.blob.isCommitting) {
      await this.#components.blob.change.next(this.#init.signal);
    }
    if (!this.#isWanted()) return;
    // First, so that nobody is shown what is on its way out.
    for (const index of indexes) this.#components.blob.forget(index);
    await this.#partial.unmark(indexes);
    for (const index of indexes) this.marks.forget(index);
    this.#on((own) => own.forget(indexes));
    this.inquiry?.forgotten();
  }

  /** Who took a chunk that is there from upstream; undefined where that was this agent, or a chunk map vouches for it. */
  signerOf(index: number): string | undefined {
    return this.marks.signerOf(index);
  }

  /** What makes a chunk that is there worth its place. */
  vouched(index: number): 'upstream' | 'map' | 'mark' {
    if (this.#partial.sourceOf(index) === 'upstream' || this.marks.isOwn(index)) return 'upstream';
    return this.marks.signerOf(index) === undefined ? 'map' : 'mark';
  }

  /** The chunk as this agent saw it upstream: it takes the place of whatever is there. False where it was there so. */
  async replace(index: number, bytes: Uint8Array, sha256: Uint8Array): Promise<boolean> {
    const { blob, repositories } = this.#components;
    // Both in one wait: between two somebody else could begin to write it.
    while (this.#isWanted() && (this.#writing.has(index) || blob.isCommitting)) {
      await blob.change.next(this.#init.signal);
    }
    if (!this.#isWanted()) return false;
    // From here on nobody else writes it.
    this.#writing.add(index);
    let isOther = false;
    try {
      const had = this.#partial.hashOf(index);
      isOther = had !== undefined && Buffer.compare(had, sha256) !== 0;
      if (isOther) await this.forget([index]);
      if (isOther || had === undefined) {
        await this.#partial.write(chunkStart(this.#partial.layout, index), bytes);
        await this.#partial.mark(index, sha256, 'upstream');
        blob.marked(index, 'upstream', repositoryText(repositories[0] as Repository));
      }
    } finally {
      this.#writing.delete(index);
    }
    this.marks.vouch(index, sha256);
    this.#on((own, now) => own.took(index, 'mark', now));
    return isOther;
  }

  /** From now on chunks are matched to this map, which these peers hold what it describes of; undefined for no map. */
  guide(map: ChunkMap | undefined, root: string | undefined, holders: readonly string[]): void {
    this.#peers.guide = map === undefined || root === undefined ? undefined : { map, root };
    this.#components.blob.change.notify();
    this.#on((own) => own.use(root === undefined ? undefined : Buffer.from(root, 'hex'), holders));
  }

  /** Whether it has not matched yet, and somebody still wants it: else whoever waits would wait for ever. */
  #isWanted(): boolean {
    return this.#components.blob.outcome === undefined && !this.#init.signal.aborted;
  }

  #run(work: Promise<void>): void {
    const running: Promise<void> = work
      .catch((error) => this.#init.onFailure(error))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #on(event: (own: OwnPart, now: number) => void): void {
    this.#components.sharing.on(this.#partial.digest, (own, now) => {
      const { lanes, first, streams } = this.#init.reading();
      own.reading(lanes, first, streams);
      event(own, now);
    });
  }
}

function isSame(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
