/**
 * Usage: npm run bench [-- CASE…]: pair, hit, first-byte, flight, memory, store; all of these where none is named.
 *        npm run bench -- fleet [OPTION…]: hosts in network namespaces; needs root, and hours. See README.md.
 *        npm run bench -- sim [--quick | --full | --only HOSTS,…] [--seed N]: the rules of sharing in virtual time; some minutes.
 * Prints a table a case, and everything measured as one line of JSON at the end.
 */
import { cpus } from 'node:os';
import { firstByte } from './first-byte.ts';
import { fleet } from './fleet.ts';
import { flight } from './flight.ts';
import { hit } from './hit.ts';
import { memory } from './memory.ts';
import { pair } from './pair.ts';
import { sim } from './sim.ts';
import { store } from './store.ts';

/** Those that are run where none is named. */
const CASES: Readonly<Record<string, () => Promise<unknown>>> = {
  pair,
  hit,
  'first-byte': firstByte,
  flight,
  memory,
  store,
};
/** Those that are run alone, with options of their own. */
const LONG_CASES: Readonly<Record<string, (options: readonly string[]) => Promise<unknown>>> = { fleet, sim };

const given = process.argv.slice(2);
const machine = `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`;
const results: Record<string, unknown> = { machine };
const [first = '', ...options] = given;
const long = LONG_CASES[first];
if (long !== undefined) {
  console.log(`${machine}\n`);
  try {
    results[first] = await long(options);
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
  console.log();
} else {
  const unknown = given.filter((name) => !(name in CASES));
  if (unknown.length > 0) {
    const all = [...Object.keys(CASES), ...Object.keys(LONG_CASES)];
    console.error(`bench: no case ${unknown.join(', ')}; there are ${all.join(', ')}`);
    process.exit(2);
  }
  console.log(`${machine}\n`);
  for (const name of given.length > 0 ? given : Object.keys(CASES)) {
    results[name] = await CASES[name]?.();
    console.log();
  }
}
console.log(JSON.stringify(results));
