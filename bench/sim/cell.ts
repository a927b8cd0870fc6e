import { Random } from '../../test/support/simulation/random.ts';
import { simulate } from '../../test/support/simulation/scenario.ts';

const MiB = 1024 * 1024;

/** 163 MiB: one layer over 60% of it, one under 4 MiB. */
const LAYERS = [102 * MiB, 38 * MiB, 20 * MiB, 3 * MiB];

/** Hosts that do not start at once start within this time. ms */
const SPREAD = 10_000;

export const STARTS = ['at once', 'spread', 'Poisson'] as const;

/** One cell of the table. */
export interface Cell {
  readonly hosts: number;
  /** Mbit/s */
  readonly uplink: number;
  readonly starts: (typeof STARTS)[number];
  readonly seed: number;
}

export interface Figures extends Cell {
  /** Copies that crossed the uplink. */
  readonly k: number;
  /** The time of all, of the least it can be. */
  readonly relative: number;
  /** ms */
  readonly time: number;
  /** Messages sent and received by an agent, a second. */
  readonly mean: number;
  readonly max: number;
  /** Real time it took. ms */
  readonly took: number;
}

export function run(cell: Cell): Figures {
  const random = new Random(cell.seed);
  const began = performance.now();
  let arrival = 0;
  const startOf = (at: number): number => {
    if (cell.starts === 'at once') return 0;
    if (cell.starts === 'spread') return (SPREAD * at) / (cell.hosts - 1);
    arrival -= Math.log(1 - random.next()) * (SPREAD / cell.hosts);
    return arrival;
  };
  const { k, time, least, messages } = simulate({
    layers: LAYERS,
    hosts: Array.from({ length: cell.hosts }, (_, at) => ({ starts: startOf(at) })),
    uplink: { rate: cell.uplink * 1_000_000 },
  });
  return { ...cell, ...messages, k, time, relative: time / least, took: performance.now() - began };
}
