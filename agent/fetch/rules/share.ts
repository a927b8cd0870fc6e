import { hasBit } from '../../../protocol/bitmap.ts';
import { layoutOf } from '../../../protocol/chunks.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { MAX_NAMED } from '../../../protocol/messages.ts';
import type { ChunkTimes } from './chunk-times.ts';
import { Coordinator } from './coordinator.ts';
import type { LeasingSurroundings } from './leasing.ts';
import { OwnPart } from './own-part.ts';
import type { Wanted } from './part.ts';
import { Partners } from './partners.ts';
import { Table, type TakingMessage } from './table.ts';
import type { UplinkRate } from './uplink-rate.ts';

/** What a share of a blob asks of the agent around it. */
export interface Surroundings extends LeasingSurroundings {
  /** How long chunks of whatever blob take from upstream. */
  readonly times: ChunkTimes;
  /** What all leases bring, of whatever blob. */
  readonly uplink: UplinkRate;
}

/**
 * One blob as one agent sees it: what its neighbours say of it and claim, and where this agent takes it too, its own part.
 * Pure.
 */
export class Share {
  readonly digest: Digest;
  /** null for a manifest whose size nobody knows. */
  readonly size: number | null;
  readonly table: Table;
  readonly #surroundings: Surroundings;
  readonly #coordinator: Coordinator;
  readonly #partners: Partners;
  readonly #seed: number;
  readonly #misses = new Map<string, number>();
  #own: OwnPart | undefined;

  constructor(digest: Digest, size: number | null, seed: number, surroundings: Surroundings, now: number) {
    this.digest = digest;
    this.size = size;
    const { count, chunkSize } = size === null ? { count: 1 } : layoutOf(size);
    this.#surroundings = surroundings;
    const { self, times, uplink } = surroundings;
    this.table = new Table(self, count, now, times, uplink, () => this.#partners.isAmongMany, chunkSize);
    this.#coordinator = new Coordinator(this.table, surroundings.self);
    this.#seed = seed;
    this.#partners = new Partners(this.table, surroundings);
  }

  /** Whether nobody takes the blob any more, as far as is known here. */
  isOver(now: number): boolean {
    // A claim may be heard before the claimant is: what it was granted must not be forgotten between the two.
    return this.#own === undefined && this.table.others.size === 0 && this.#coordinator.waitsUntil < now;
  }

  /** What this agent does about the blob; undefined where it does not take it. */
  get own(): OwnPart | undefined {
    return this.#own;
  }

  // What neighbours say.

  hear(peer: string, message: TakingMessage, now: number): void {
    if (!this.table.hear(peer, message, now)) return;
    this.#coordinator.announced(peer, message.leases);
  }

  left(peer: string): void {
    const wasFetching = (this.table.others.get(peer)?.leases.length ?? 0) > 0;
    this.table.drop(peer);
    this.#own?.left(peer, wasFetching);
    this.#coordinator.left(peer);
    this.#partners.left(peer);
  }

  claimed(peer: string, first: number, now: number): void {
    const verdict = this.#coordinator.claim(peer, first, now, false, this.#partners.isCrowd);
    const { digest } = this;
    const partners = this.#partners.draw(peer);
    // In a crowd who claims may not have heard that all of it is here.
    if (this.#own?.isWhole && this.#partners.isCrowd) this.#own.tell([peer]);
    this.#surroundings.wish({
      kind: 'tell',
      peers: [peer],
      message:
        verdict.kind === 'grant'
          ? { type: 'grant', digest, segment: [...verdict.segment], partners }
          : { type: 'refuse', digest, fetching: verdict.fetching.slice(0, MAX_NAMED), partners },
    });
  }

  /** A neighbour has come: it must know what is taken before it claims. */
  came(peer: string): void {
    if (!this.#partners.isCrowd) this.#own?.tell([peer]);
  }

  // What this agent does.

  /** This agent takes the blob from now on. */
  join(wanted: Wanted, now: number): void {
    const { digest, size, table } = this;
    this.#forgetOwn(now);
    this.#own = new OwnPart(
      {
        ...{ digest, size, table, coordinator: this.#coordinator, partners: this.#partners },
        ...{ surroundings: this.#surroundings, misses: this.#misses, seed: this.#seed },
      },
      wanted,
      now,
    );
    table.takesPart = true;
    for (let index = 0; index < table.count; index++) if (hasBit(wanted.have, index)) table.ownChunk(index, now);
  }

  /** It takes it no more. */
  leave(now: number): void {
    if (this.#own === undefined) return;
    this.#own = undefined;
    this.table.takesPart = false;
    this.#forgetOwn(now);
    const { digest } = this;
    this.#surroundings.wish({ kind: 'tell', peers: this.#partners.told, message: { type: 'left', digest } });
  }

  /** Whatever this agent took and was granted is over: what comes next begins anew. */
  #forgetOwn(now: number): void {
    this.table.resetOwn(now);
    this.#coordinator.left(this.#surroundings.self);
  }

  /** Does what is due. */
  decide(now: number): void {
    this.table.review(now);
    if (this.#own?.isUnwanted(now)) this.leave(now);
    else this.#own?.decide(now);
  }

  /** When {@link decide} has something to do, if nothing happens before. */
  dueAt(now: number): number {
    if (this.#own !== undefined) return Math.min(this.table.reviewAt, this.#own.dueAt(now));
    const { waitsUntil } = this.#coordinator;
    return Math.min(this.table.reviewAt, waitsUntil < now ? Number.POSITIVE_INFINITY : waitsUntil + 1);
  }
}
