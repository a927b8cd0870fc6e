import type { Part } from './part.ts';
import type { Table } from './table.ts';

/** How often a peer may not have what it told of: what it was asked for before it dropped the word of a liar. */
const MOST_MISSES = 16;

/** What became of a request for a chunk. */
export type Outcome = 'done' | 'busy' | 'cancelled' | 'useless' | 'missing' | 'failed';

export interface MistrustComponents {
  readonly table: Table;
  readonly part: Pick<Part, 'holders'>;
  /** How often a peer has not had what it said to have: they outlast this part. */
  readonly misses: Map<string, number>;
}

/** Whose word on a blob counts, by what became of what was asked of them. Pure. */
export class Mistrust {
  readonly #components: MistrustComponents;

  constructor(components: MistrustComponents) {
    this.#components = components;
  }

  /** A request for a chunk has ended. */
  answered(peer: string, index: number, outcome: Outcome): void {
    const { table } = this.#components;
    if (outcome === 'missing' || outcome === 'useless') table.lacks(peer, index);
    if (outcome === 'failed' || (outcome === 'missing' && this.#missed(peer) > MOST_MISSES)) this.#ignore(peer);
  }

  #missed(peer: string): number {
    const { misses: counted } = this.#components;
    const misses = (counted.get(peer) ?? 0) + 1;
    counted.set(peer, misses);
    return misses;
  }

  #ignore(peer: string): void {
    const { table, part } = this.#components;
    table.ignore(peer);
    part.holders.delete(peer);
  }
}
