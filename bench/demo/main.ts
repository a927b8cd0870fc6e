/**
 * Shows what layerlan does, on this machine alone: an upstream registry and three agents, each on a loopback address of
 * its own, pull a generated image. With --corrupt, a hostile peer damages every chunk on its way.
 * Usage: npm run demo [-- --corrupt]
 */
import { parseArgs } from 'node:util';

import { corrupted } from './corrupted.ts';
import { shared } from './shared.ts';

const { values } = parseArgs({ options: { corrupt: { type: 'boolean', default: false } } });
const right = values.corrupt ? await corrupted() : await shared();
process.exit(right ? 0 : 1);
