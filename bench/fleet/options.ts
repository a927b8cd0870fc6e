import { parseArgs } from 'node:util';
import { CROWD } from './crowd.ts';
import type { KeyMode } from './report.ts';
import { DEFAULT_HOSTS } from './row.ts';
import { ROWS } from './rows.ts';

/** How the fleet case is run. */
export interface FleetOptions {
  /** @default 3 */
  readonly runs: number;
  /** Fewer hosts than a row has, for a quick look. @default as the rows have it */
  readonly hosts?: number;
  /** Names. @default all */
  readonly rows: readonly string[];
  /** @default both */
  readonly keys: readonly KeyMode[];
  /** @default true */
  readonly rivals: boolean;
  /** Where logs are kept. @default nowhere */
  readonly logs?: string;
}

const KEYS: Readonly<Record<string, readonly KeyMode[]>> = {
  both: ['with', 'without'],
  with: ['with'],
  without: ['without'],
};

/** @throws Error with what is wrong */
export function parseFleetOptions(args: readonly string[]): FleetOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '3' },
      hosts: { type: 'string' },
      rows: { type: 'string' },
      key: { type: 'string', default: 'both' },
      rivals: { type: 'boolean', default: true },
      logs: { type: 'string' },
    },
    allowNegative: true,
  });
  const names = [...ROWS.map(({ name }) => name), CROWD];
  const rows = values.rows?.split(',') ?? names;
  const unknown = rows.filter((row) => !names.includes(row));
  if (unknown.length > 0) throw new Error(`no row ${unknown.join(', ')}; there are ${names.join(', ')}`);
  const keys = KEYS[values.key];
  if (keys === undefined) throw new Error(`--key is one of ${Object.keys(KEYS).join(', ')}`);
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs is a whole number from 1');
  const hosts = values.hosts === undefined ? undefined : Number(values.hosts);
  if (hosts !== undefined && !(Number.isInteger(hosts) && hosts >= 2 && hosts <= DEFAULT_HOSTS))
    throw new Error(`--hosts is a whole number from 2 to ${DEFAULT_HOSTS}`);
  return {
    runs,
    rows,
    keys,
    rivals: values.rivals,
    ...(values.logs !== undefined && { logs: values.logs }),
    ...(hosts !== undefined && { hosts }),
  };
}
