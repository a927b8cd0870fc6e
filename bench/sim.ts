import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Cell, type Figures, STARTS } from './sim/cell.ts';
import { table } from './table.ts';

const HOSTS = [8, 20, 50, 100, 300, 1_000];
const UPLINKS = [3, 10, 100];

/** With more hosts than this, a cell takes minutes: without `--full` only the fastest uplink is run. */
const MANY_HOSTS = 100;

/** And with as many only hosts that start at once. */
const MOST_HOSTS = 300;

/** What must be reached. */
const MOST_COPIES = 1.02;
const MOST_TIME = 1.06;
/** Messages are flat from here on: with more hosts neither an agent's mean nor the busiest one's are more than … */
const FLAT_FROM = 50;
/** … so many times what they are here, with the same uplink and starts. */
const MOST_GROWTH = 1.3;

/**
 * The very rules of sharing in virtual time: hosts at 1 Gbit, an image of 163 MiB, 6 ms of CPU a chunk and 0.1 ms a
 * message at either side.
 * @param options `--quick` for up to 50 hosts, `--full` for every cell, `--only HOSTS,…` for every cell of so many hosts,
 *   `--seed N` for other arrivals
 */
export async function sim(options: readonly string[] = []): Promise<unknown> {
  const seed = Number(optionOf('--seed', options) ?? 1);
  const only = optionOf('--only', options)?.split(',').map(Number);
  const strange = only?.filter((hosts) => !HOSTS.includes(hosts)) ?? [];
  if (strange.length > 0) throw new Error(`--only takes ${HOSTS.join(', ')}, not ${strange.join(', ')}`);
  const cells = HOSTS.flatMap((hosts) =>
    UPLINKS.flatMap((uplink) => STARTS.map((starts): Cell => ({ hosts, uplink, starts, seed }))),
  ).filter((cell) => only?.includes(cell.hosts) ?? isRun(cell, options));
  console.log(`seed ${seed}, ${cells.length} cells`);
  const figures = await all(cells);
  console.log(
    table(
      ['hosts', 'uplink Mbit', 'starts', 'k', 'T s', 'T ÷ T_min', 'messages/s mean', 'max', 'run s', ''],
      figures.map((each) => [
        String(each.hosts),
        String(each.uplink),
        each.starts,
        each.k.toFixed(4),
        (each.time / 1_000).toFixed(1),
        each.relative.toFixed(3),
        each.mean.toFixed(0),
        each.max.toFixed(0),
        (each.took / 1_000).toFixed(0),
        verdict(each, figures),
      ]),
    ),
  );
  return figures;
}

function optionOf(option: string, options: readonly string[]): string | undefined {
  return options.includes(option) ? options[options.indexOf(option) + 1] : undefined;
}

function verdict(cell: Figures, all: readonly Figures[]): string {
  if (cell.k > MOST_COPIES || cell.relative > MOST_TIME) return 'MISSED';
  const flat = all.find(
    ({ hosts, uplink, starts }) => hosts === FLAT_FROM && uplink === cell.uplink && starts === cell.starts,
  );
  if (flat === undefined || cell.hosts <= FLAT_FROM) return '';
  const growth = Math.max(cell.mean / flat.mean, cell.max / flat.max);
  return growth <= MOST_GROWTH ? '' : `MISSED: ${growth.toFixed(2)} times the messages`;
}

function isRun({ hosts, uplink, starts }: Cell, options: readonly string[]): boolean {
  if (options.includes('--full')) return true;
  if (options.includes('--quick')) return hosts <= 50;
  if (hosts > MANY_HOSTS && uplink < Math.max(...UPLINKS)) return false;
  return hosts < MOST_HOSTS || starts === 'at once';
}

/** Runs the cells on as many cores as there are, the dearest first; in the order of the table. */
async function all(cells: readonly Cell[]): Promise<Figures[]> {
  const figures = new Map<Cell, Figures>();
  const left = [...cells].sort((one, other) => one.hosts - other.hosts || other.uplink - one.uplink);
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('./sim/worker.ts', import.meta.url));
    for (let cell = left.pop(); cell !== undefined; cell = left.pop()) {
      worker.postMessage(cell);
      const [result] = (await once(worker, 'message')) as [Figures];
      figures.set(cell, result);
      // A cell may take an hour: what is done must not be lost with what is not.
      console.log(JSON.stringify(result));
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), cells.length) }, work));
  return cells.map((cell) => figures.get(cell) as Figures);
}
