/**
 * The fleet case itself, as bench/fleet.ts runs it: in a process of its own, whose end is followed by a sweep.
 * Usage: main.ts [--runs N] [--rows NAME,…] [--key with|without|both] [--no-rivals] [--hosts N] [--logs DIR]
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateNetworkKey } from '../../agent/swarm/key.ts';
import { LAB_DIR, PREFIX } from '../../test/lan/place.ts';
import { CROWD, CROWD_SIZES, type CrowdFigures, crowdTable, playCrowd } from './crowd.ts';
import { type FleetLab, LAN_RATE, openLab } from './lab.ts';
import { type FleetOptions, parseFleetOptions } from './options.ts';
import { playRow } from './play.ts';
import { fleetTable, type KeyMode, type RowResult } from './report.ts';
import { plainStream } from './rivals.ts';
import { ROWS } from './rows.ts';
import { sweep } from './sweep.ts';

/** Enough for TCP to be at its rate for most of it. Bytes. */
const STREAM_BYTES = 256 * 1024 * 1024;

const options = parseFleetOptions(process.argv.slice(2));
// Whoever started this sweeps up when it is gone, and where they are gone themselves, this does.
const orphaned = () => void sweep(LAB_DIR, PREFIX).finally(() => process.exit(1));
process.once('disconnect', orphaned);
process.once('SIGTERM', () => process.exit(143));
process.once('SIGINT', () => process.exit(130));

const lab = await openLab();
try {
  const [one, other] = lab.hosts;
  await lab.reset({ uplink: 100 });
  const stream = await plainStream(lab, one!, other!, STREAM_BYTES);
  const links = { ...(await lab.describe()), 'one plain TCP stream': `${((stream * 8) / 1e6).toFixed(0)} Mbit/s` };
  const described = Object.entries(links).map(([name, value]) => `${name} ${value}`);
  console.log(`links of ${LAN_RATE} Mbit, uplink of 100 Mbit unless a row says otherwise; ${described.join(', ')}\n`);
  const networkKeyFile = join(LAB_DIR, 'network.key');
  await writeFile(networkKeyFile, generateNetworkKey(), { mode: 0o600 });

  const results: RowResult[] = [];
  for (const row of ROWS) {
    if (options.rows.includes(row.name)) results.push(await playRow(lab, row, options, networkKeyFile));
  }
  const crowd = options.rows.includes(CROWD) ? await playCrowds(lab, options, networkKeyFile) : [];
  if (results.length > 0) console.log(`\n${fleetTable(results)}`);
  if (crowd.length > 0) console.log(`\n${crowdTable(crowd)}`);
  const rows = results.map(({ row, runs, failures }) => ({ name: row.name, bounds: row.bounds, runs, failures }));
  await new Promise((resolve) => process.send?.({ links, rows, crowd }, resolve));
} finally {
  if (options.logs !== undefined) {
    await mkdir(options.logs, { recursive: true });
    await cp(join(LAB_DIR, 'logs'), options.logs, { recursive: true });
  }
  await lab.close();
}
process.off('disconnect', orphaned);
process.disconnect?.();

async function playCrowds(
  { ...played }: FleetLab,
  { runs, keys }: FleetOptions,
  networkKeyFile: string,
): Promise<{ mode: KeyMode; figures: CrowdFigures }[]> {
  console.log(`${CROWD}: ${CROWD_SIZES.join(', ')} agents on loopback`);
  const all: { mode: KeyMode; figures: CrowdFigures }[] = [];
  for (const size of CROWD_SIZES) {
    for (const mode of keys) {
      for (let number = 1; number <= runs; number++) {
        const key = mode === 'with' ? { networkKeyFile } : {};
        const figures = await playCrowd(played, size, `crowd-${size}-${mode}-${number}`, key);
        all.push({ mode, figures });
        const { k, t, cpu, packets, good } = figures;
        const cost = `${cpu.toFixed(2)} CPU-s and ${packets.toFixed(0)} packets an agent`;
        console.log(
          `  ${size} agents, ${mode} key: k ${k.toFixed(3)}, T ${t.toFixed(2)} s, ${good}/${size} pulls, ${cost}`,
        );
      }
    }
  }
  return all;
}
