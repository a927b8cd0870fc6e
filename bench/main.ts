/**
 * Usage: npm run bench [-- CASE…]: pair, hit, memory; all of them where none is named.
 * Prints a table a case, and everything measured as one line of JSON at the end.
 */
import { cpus } from 'node:os';
import { hit } from './hit.ts';
import { memory } from './memory.ts';
import { pair } from './pair.ts';

const CASES = { pair, hit, memory };
type Case = keyof typeof CASES;

const named = process.argv.slice(2);
const unknown = named.filter((name) => !(name in CASES));
if (unknown.length > 0) {
  console.error(`bench: no case ${unknown.join(', ')}; there are ${Object.keys(CASES).join(', ')}`);
  process.exit(2);
}
const chosen = (named.length > 0 ? named : Object.keys(CASES)) as Case[];
const machine = `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`;
console.log(`${machine}\n`);
const results: Record<string, unknown> = { machine };
for (const name of chosen) {
  results[name] = await CASES[name]();
  console.log();
}
console.log(JSON.stringify(results));
