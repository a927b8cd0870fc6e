import { mixed, seedOf } from './mixed.ts';
import type { Table } from './table.ts';

/** With more neighbours than this, not all are told of everything: the CPU of their messages would hold chunks up. */
export const CROWD = 50;

/** With more neighbours, messages cost more than what they bring forward: what can wait is told half as often. */
const FEW = 16;

/** Partners that a coordinator draws for one taker. */
const DRAWN = 10;

/** Those who announce to this agent are told in turn, up to so many in all: ids are free. */
const MOST_TOLD = 24;

/** Takers a coordinator remembers to draw from. */
const MOST_TAKERS = 1_024;

/** The first in the order, who hear of every lease: whoever is asked after the coordinator must know them too. */
export const WATCHERS = 2;

/** What the choice of partners asks of the agent around it. */
export interface Neighbourhood {
  readonly self: string;
  /** Everybody but this agent. */
  neighbours(): readonly string[];
  isNeighbour(peer: string): boolean;
  /** All who could be the blob's coordinator, this agent among them. */
  order(): readonly string[];
  /** This agent's place in it, from 0. */
  place(): number;
}

/** Who of a crowd is told what this agent takes, and whom it has others told. Pure. */
export class Partners {
  readonly #table: Table;
  readonly #neighbourhood: Neighbourhood;
  /** Those drawn for this agent. */
  readonly #own = new Set<string>();
  /** Those who claimed here, the last in the end. */
  readonly #takers = new Set<string>();
  /** Whether it has ever held a lease: what it took then is known through it. */
  #isWatched = false;

  constructor(table: Table, neighbourhood: Neighbourhood) {
    this.#table = table;
    this.#neighbourhood = neighbourhood;
  }

  /** Whether all tell half as often that they are at it. */
  get isAmongMany(): boolean {
    return this.#neighbourhood.neighbours().length > FEW;
  }

  get isCrowd(): boolean {
    return this.#neighbourhood.neighbours().length > CROWD;
  }

  /** Who is told. */
  get told(): readonly string[] {
    const { self, neighbours, order } = this.#neighbourhood;
    if (!this.isCrowd) return neighbours();
    this.#isWatched ||= this.#table.own.leases.length > 0;
    const told = new Set(this.#own);
    for (const peer of this.#table.others.keys()) {
      if (told.size >= MOST_TOLD) break;
      told.add(peer);
    }
    if (this.#isWatched) for (const peer of order().slice(0, WATCHERS)) told.add(peer);
    told.delete(self);
    return [...told];
  }

  /** A coordinator has drawn these for this agent. True where some of them have not been told of anything yet. */
  drawn(peers: readonly string[]): boolean {
    const known = peers.filter((peer) => this.#neighbourhood.isNeighbour(peer)).slice(0, DRAWN);
    if (known.length === 0 || !this.isCrowd) return false;
    const isNew = known.some((peer) => !this.#own.has(peer));
    this.#own.clear();
    for (const peer of known) this.#own.add(peer);
    return isNew;
  }

  /** Draws partners for who claims. */
  draw(claimant: string): string[] {
    if (!this.isCrowd) return [];
    const { self } = this.#neighbourhood;
    const takers = [...this.#takers].filter((peer) => peer !== claimant);
    if (this.#table.takesPart && claimant !== self) takers.push(self);
    this.#takers.delete(claimant);
    this.#takers.add(claimant);
    if (this.#takers.size > MOST_TAKERS)
      for (const oldest of this.#takers) {
        this.#takers.delete(oldest);
        break;
      }
    const seed = seedOf(claimant);
    const drawn: string[] = [];
    while (drawn.length < DRAWN && takers.length > 0) {
      const [peer] = takers.splice(mixed(drawn.length, seed) % takers.length, 1);
      drawn.push(peer as string);
    }
    return drawn;
  }

  left(peer: string): void {
    this.#own.delete(peer);
    this.#takers.delete(peer);
  }
}
