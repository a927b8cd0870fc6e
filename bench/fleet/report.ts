import { table } from '../table.ts';
import { boundsText, cacheShare, missed, streamShare } from './bounds.ts';
import type { Figures, Row, Yardsticks } from './row.ts';

const MIB = 1024 * 1024;

export type KeyMode = 'with' | 'without';

/** One run of a row: the yardsticks, and what agents reached with a network key and without. */
export interface Run {
  readonly yardsticks: Yardsticks;
  readonly agents: Partial<Record<KeyMode, Figures>>;
}

export interface RowResult {
  readonly row: Row;
  readonly runs: readonly Run[];
  /** Why a run could not be played to its end. */
  readonly failures: readonly string[];
}

const number = (value: number, digits: number) => (Number.isFinite(value) ? value.toFixed(digits) : 'never');
const worst = (values: readonly number[]) => Math.max(...values);

const HEAD = ['case', 'key', 'pulls', 'k', 'T, s', 'T ÷ T₁', 'CPU-s/GiB', 'RSS, MiB', 'else', 'must', 'reached'];

/** The table of all rows, the worst of their runs. */
export function fleetTable(results: readonly RowResult[]): string {
  return table(HEAD, results.flatMap(linesOf));
}

function linesOf(result: RowResult): string[][] {
  const { row, runs, failures } = result;
  const lines: string[][] = [];
  for (const mode of ['with', 'without'] as const) {
    const played = runs.flatMap(({ agents, yardsticks }) => {
      const figures = agents[mode];
      return figures === undefined ? [] : [{ figures, yardsticks }];
    });
    if (played.length > 0) lines.push(agentLine(row, mode, played));
  }
  lines.push(...rivalLines(runs));
  for (const failure of failures) lines.push([row.title, '', '', '', '', '', '', '', failure, '', 'NOT PLAYED']);
  return lines;
}

function agentLine(row: Row, mode: KeyMode, played: { figures: Figures; yardsticks: Yardsticks }[]): string[] {
  const all = played.map(({ figures }) => figures);
  const of = (pick: (figures: Figures) => number) => worst(all.map(pick));
  const failed = [...new Set(played.flatMap(({ figures, yardsticks }) => missed(row.bounds, figures, yardsticks)))];
  const fewest = all.reduce((one, other) => (other.good - other.pulls < one.good - one.pulls ? other : one));
  return [
    row.title,
    mode === 'with' ? 'yes' : 'no',
    `${fewest.good}/${fewest.pulls}`,
    number(
      of(({ k }) => k),
      3,
    ),
    number(
      of(({ t }) => t),
      2,
    ),
    number(
      of(({ ratio }) => ratio),
      3,
    ),
    number(
      of(({ cpuPerGib }) => cpuPerGib),
      1,
    ),
    number(of(({ rss }) => rss) / MIB, 0),
    remarks(row, played),
    boundsText(row.bounds),
    failed.length === 0 ? 'yes' : `NO: ${failed.join(', ')}`,
  ];
}

function remarks(row: Row, played: { figures: Figures; yardsticks: Yardsticks }[]): string {
  const all = played.map(({ figures }) => figures);
  const t1Faulty = played.map(({ yardsticks }) => yardsticks.t1Faulty).filter((t) => t !== undefined);
  const rows = [
    row.bounds.first !== undefined &&
      `first byte ${number(worst(all.map(({ firstLater }) => firstLater)), 1)} ms later`,
    row.bounds.ofCache !== undefined &&
      `${number(worst(played.map(({ figures, yardsticks }) => cacheShare(figures, yardsticks))), 2)} of the cache’s time`,
    row.bounds.ofStream !== undefined &&
      `${(100 * Math.min(...played.map(({ figures, yardsticks }) => streamShare(figures, yardsticks)))).toFixed(0)}% of a stream of ` +
        `${number(Math.min(...played.map(({ yardsticks }) => yardsticks.stream ?? 0)) / MIB, 0)} MiB/s`,
    row.fault !== undefined &&
      `fault at ${all.map(({ fault }) => `${number(fault?.from ?? Number.NaN, 2)}–${number(fault?.to ?? Number.NaN, 2)}`).join('; ')}`,
    t1Faulty.length > 0 && `direct, same upstream: ${number(worst(t1Faulty), 1)} s`,
    all.some(({ resumed }) => resumed > 0) && `${worst(all.map(({ resumed }) => resumed))} bodies resumed`,
    row.hostile !== undefined &&
      `asked for ${all.map(({ liarsAsked }) => liarsAsked?.join('+')).join('; ')} chunks; shut out ${all.map(({ shutOut }) => shutOut && `${shutOut.shut} of ${shutOut.pairs}`).join('; ')}; ${worst(all.map(({ falseBlobs }) => falseBlobs))} false blobs`,
  ];
  return rows.filter((text) => typeof text === 'string').join('; ');
}

function rivalLines(runs: readonly Run[]): string[][] {
  const line = (name: string, measured: ({ k: number; t: number; cpuPerGib?: number } | undefined)[]) => {
    const all = measured.filter((each) => each !== undefined);
    if (all.length === 0) return [];
    const ratio = worst(runs.map(({ yardsticks }, at) => (measured[at]?.t ?? 0) / yardsticks.t1));
    const k = worst(all.map((each) => each.k));
    const t = worst(all.map((each) => each.t));
    const cpu = all.flatMap(({ cpuPerGib }) => cpuPerGib ?? []);
    const cost = cpu.length === 0 ? '' : number(worst(cpu), 1);
    return [[`  ${name}`, '', '', number(k, 3), number(t, 2), number(ratio, 3), cost, '', '', '', '']];
  };
  const t1 = runs.map(({ yardsticks }) => yardsticks.t1);
  if (t1.length === 0) return [];
  const alone = `T₁: one host straight to upstream`;
  return [
    [`  ${alone}`, '', '', '1', number(worst(t1), 2), '1', '', '', '', '', ''],
    ...line(
      'all straight to upstream',
      runs.map(({ yardsticks }) => yardsticks.direct),
    ),
    ...line(
      'all through one docker-registry cache',
      runs.map(({ yardsticks }) => yardsticks.cache),
    ),
  ];
}

/** A line while the bench runs. */
export function attemptText(
  mode: KeyMode,
  { k, t, ratio, good, pulls, errors, cpuPerGib, cpu, fault }: Figures,
): string {
  const when = fault === undefined ? '' : `, fault at ${fault.from.toFixed(2)}–${fault.to.toFixed(2)}`;
  const wrong = errors.length === 0 ? '' : `; ${[...new Set(errors)].join('; ')}`;
  return (
    `${mode} key: k ${number(k, 3)}, T ${number(t, 2)} s (${number(ratio, 3)} T₁), ${good}/${pulls} pulls, ` +
    `${number(cpuPerGib, 1)} CPU-s/GiB (by host ${cpu.map((each) => number(each, 1)).join(' ')})${when}${wrong}`
  );
}
