/**
 * Takes one URL and throws its bytes away.
 * Usage: drain.ts URL [--rate BYTES_PER_SECOND] [--stop-after BYTES]
 * Prints one line of JSON: {status, bytes, firstByteMs, totalMs}. With --stop-after it prints when it stops reading and
 * then holds the connection until it is ended.
 */
import { parseArgs } from 'node:util';
import { drainHere } from '../client.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rate: { type: 'string' }, 'stop-after': { type: 'string' } },
});
try {
  const drained = await drainHere(positionals[0] ?? '', {
    ...(values.rate !== undefined && { rate: Number(values.rate) }),
    ...(values['stop-after'] !== undefined && { stopAfter: Number(values['stop-after']) }),
  });
  console.log(JSON.stringify(drained));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
