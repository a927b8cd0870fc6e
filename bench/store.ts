import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './processes.ts';
import { median, table } from './table.ts';

const COUNTS = [0, 1_000, 10_000, 100_000];
/** A start is made so often, each in a process of its own. */
const STARTS = 5;
/** How much later than an empty one a store may be ready. Milliseconds. */
const ALLOWED = 500;

/** What bench/programs/store.ts tells of one start. Milliseconds, bytes, per second. */
export interface StoreFigures {
  readonly readyMs: number;
  readonly recentMs: number;
  readonly rss: number;
  readonly inOrderMs: number;
  readonly lookUps: number;
  readonly puts: number;
  readonly commits: number;
}

/** What a store costs that is at its bound: each blob of 1 MiB first makes its room, of tiny blobs as long as there are any. */
export interface BoundFigures {
  /** Per second. */
  readonly commits: number;
  readonly slowestMs: number;
  /** Left at the end. */
  readonly blobs: number;
}

/** What a store costs that holds many blobs: its start, a look-up, a blob more. */
export async function store() {
  const results: { count: number; figures: Record<keyof StoreFigures, number>; bound: BoundFigures }[] = [];
  for (const count of COUNTS) {
    const path = await mkdtemp(join(tmpdir(), 'layerlan-bench-store-'));
    try {
      await told(path, 'make', count);
      const starts: StoreFigures[] = [];
      for (let start = 0; start < STARTS; start++) starts.push(await told<StoreFigures>(path, 'measure', count));
      const keys = Object.keys(starts[0] as StoreFigures) as (keyof StoreFigures)[];
      const figures = Object.fromEntries(keys.map((key) => [key, median(starts.map((each) => each[key]))]));
      const bound = await told<BoundFigures>(path, 'bound', count);
      results.push({ count, figures: figures as Record<keyof StoreFigures, number>, bound });
    } finally {
      await rm(path, { recursive: true });
    }
  }
  const empty = results[0]?.figures.readyMs ?? 0;
  console.log(
    table(
      [
        'blobs',
        'ready, ms',
        'at most 500 ms more',
        'recent(), ms',
        'in order, s',
        'RSS, MiB',
        'look-ups/s',
        'puts/s',
        'commits/s',
        'commits/s at the bound',
        'slowest, ms',
      ],
      results.map(({ count, figures, bound }) => [
        `${count}`,
        figures.readyMs.toFixed(0),
        figures.readyMs + figures.recentMs <= empty + ALLOWED ? 'yes' : 'NO',
        figures.recentMs.toFixed(0),
        (figures.inOrderMs / 1000).toFixed(1),
        (figures.rss / 1024 / 1024).toFixed(0),
        figures.lookUps.toFixed(0),
        figures.puts.toFixed(0),
        figures.commits.toFixed(0),
        bound.commits.toFixed(0),
        bound.slowestMs.toFixed(0),
      ]),
    ),
  );
  return results;
}

async function told<Result>(path: string, what: 'make' | 'measure' | 'bound', count: number): Promise<Result> {
  const program = run('bench/programs/store.ts', path, what, `${count}`);
  try {
    return await program.line<Result>();
  } finally {
    await program.stop();
  }
}
