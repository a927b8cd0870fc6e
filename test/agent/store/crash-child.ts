import { openStore } from '../../../agent/store/index.ts';
import { chunkOf, content, digestOfBytes, never, sha256 } from './compliance.ts';
import { quiet } from './support.ts';

/** Bytes of the blob that the child is killed over. */
export const CRASH_SIZE = 6 * 1024 * 1024 + 5;
export const CRASH_SEED = 'crash';

/** A store in a process of its own, which is killed, or kills itself, where it says so. Arguments: where, store path. */
async function main(where: string, path: string): Promise<void> {
  let armed = false;
  const now = () => {
    // The clock is read when the file is in its place and the row is not yet written.
    if (armed) process.kill(process.pid, 'SIGKILL');
    return Date.now();
  };
  const store = await openStore({ logger: quiet, now }, { path });
  const bytes = content(CRASH_SEED, CRASH_SIZE);
  const partial = await store.openPartial(digestOfBytes(bytes), bytes.length, never);
  const last = where === 'mid-write' ? 4 : partial.layout.count;
  for (let index = 0; index < last; index++) {
    const chunk = chunkOf(bytes, index);
    await partial.write(index * partial.layout.chunkSize, chunk);
    await partial.mark(index, sha256(chunk), 'upstream');
  }
  if (where === 'mid-commit') {
    armed = true;
    await partial.commit(null);
  }
  // Half a chunk that nothing marks, over and over until the parent kills us.
  process.stdout.write('ready\n');
  for (;;) await partial.write(4 * partial.layout.chunkSize, chunkOf(bytes, 4).subarray(0, 500_000));
}

const [, , where, path] = process.argv;
if (where !== undefined && path !== undefined && import.meta.main) await main(where, path);
