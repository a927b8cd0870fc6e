#!/usr/bin/env node
// The first file: it must parse on any Node that runs ES modules, and may import nothing that does not.
import { OLDEST_NODE } from '../version.ts';

const version = process.versions.node;

if (Number(version.split('.')[0]) < OLDEST_NODE) {
  process.stderr.write(`layerlan: Node ${OLDEST_NODE} or newer is needed; this is Node ${version}\n`);
  process.exitCode = 1;
} else {
  const { main } = await import('./main.ts');
  // Whatever a role left behind must not keep the process alive once the command is done.
  process.exit(await main(process.argv.slice(2)));
}
