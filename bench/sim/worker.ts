import { parentPort } from 'node:worker_threads';
import { type Cell, run } from './cell.ts';

parentPort?.on('message', (cell: Cell) => parentPort?.postMessage(run(cell)));
