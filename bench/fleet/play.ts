import { attemptRow } from './attempt.ts';
import { fleetImage } from './images.ts';
import type { FleetLab } from './lab.ts';
import type { FleetOptions } from './options.ts';
import type { Published } from './registry.ts';
import { attemptText, type RowResult, type Run } from './report.ts';
import { DEFAULT_HOSTS, type Figures, MissedWindowError, type Row } from './row.ts';
import { measureYardsticks } from './yardsticks.ts';

/** A fault that came outside mid-flight is tried again so often. */
const ATTEMPTS = 4;

/** Plays a row as often as was asked for; says how it goes while it does. */
export async function playRow(
  lab: FleetLab,
  asWritten: Row,
  options: FleetOptions,
  networkKeyFile: string,
): Promise<RowResult> {
  const row = withHosts(asWritten, options.hosts);
  const runs: Run[] = [];
  const failures: string[] = [];
  console.log(`${row.name}: ${row.title}`);
  for (let number = 1; number <= options.runs; number++) {
    try {
      runs.push(await playRun(lab, row, options, networkKeyFile, number));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      console.log(`  run ${number} could not be played: ${reason}`);
      failures.push(`run ${number}: ${reason.split('\n')[0]}`);
    }
  }
  return { row, runs, failures };
}

async function playRun(
  lab: FleetLab,
  row: Row,
  options: FleetOptions,
  networkKeyFile: string,
  number: number,
): Promise<Run> {
  const label = `${row.name}-${number}`;
  // New bytes each time: nobody can have them.
  const hosts = Array.from({ length: row.hosts ?? DEFAULT_HOSTS }, (_, host) => host);
  const wanted = 1 + Math.max(...hosts.map((host) => row.wants?.(host) ?? 0));
  const specs = (row.images ?? fleetImage)(`${label} ${Date.now()}`).slice(0, wanted);
  const images: Published[] = [];
  for (const [at, spec] of specs.entries()) images.push(await lab.registry.publish(`${label}-${at}`, spec));
  const yardsticks = await measureYardsticks(lab, row, images, options.rivals);
  const { t1, direct, cache } = yardsticks;
  const rivals = [direct && `direct k ${direct.k.toFixed(2)}, T ${direct.t.toFixed(1)} s`];
  rivals.push(cache && `cache k ${cache.k.toFixed(2)}, T ${cache.t.toFixed(1)} s`);
  console.log(
    `  run ${number}: ${[`T₁ ${t1.toFixed(2)} s`, ...rivals.filter((each) => each !== undefined)].join('; ')}`,
  );
  const agents: Run['agents'] = {};
  for (const mode of options.keys) {
    const key = mode === 'with' ? { networkKeyFile } : {};
    const figures = await untilItCounts(() =>
      attemptRow(lab, { row, images, yardsticks, label: `${label}-${mode}`, ...key }),
    );
    agents[mode] = figures;
    console.log(`    ${attemptText(mode, figures)}`);
  }
  return { yardsticks, agents };
}

/** The row with fewer hosts; a lone taker stays alone, and liars stay in the minority. */
function withHosts(row: Row, hosts: number | undefined): Row {
  if (hosts === undefined || row.hosts !== undefined) return row;
  return { ...row, hosts: Math.min(DEFAULT_HOSTS, Math.max(hosts, 2 * (row.hostile?.length ?? 0) + 1)) };
}

async function untilItCounts(act: () => Promise<Figures>): Promise<Figures> {
  for (let tried = 1; ; tried++) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof MissedWindowError) || tried === ATTEMPTS) throw error;
      console.log(`    does not count: ${error.message}`);
    }
  }
}
