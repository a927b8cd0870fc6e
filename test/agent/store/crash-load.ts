import { appendFileSync } from 'node:fs';
import { type DiskStore, openStore } from '../../../agent/store/index.ts';
import { bring, collect, content, digestOfBytes, never } from './compliance.ts';
import { type Call, interceptedFiles } from './intercepted-files.ts';
import { seeded } from './seeded.ts';
import { quiet } from './support.ts';

/** What the load takes in, reads and removes, over and over. */
export const LOAD = Array.from({ length: 8 }, (_, number) =>
  content(`load ${number}`, 1024 * 1024 + 17 + number * 5000),
);

const BLOBS = LOAD.map((bytes) => ({ bytes, digest: digestOfBytes(bytes) }));

/** How many pulls go on at once. */
const AT_ONCE = 4;

/** Where the process ends: at a file call, between a rename into `blobs/` and the row, or some time. */
export type Death = 'call' | 'between' | 'time';

/** A line of the log that outlives the process: what had happened, or was about to. */
export type LogLine = 'opened' | 'closed' | 'committed' | 'removing';

/** As many make the start of a store and the first partials. */
const START_CALLS = 140;
/** As many again make some pulls. */
const MOST_CALLS = 120;
/** Milliseconds. */
const MOST_TIME = 100;

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;); // The signal may take a moment.
}

/** A store under load, until it kills itself. Arguments: store path, log, seed, how it ends. */
async function main(path: string, log: string, seed: number, death: Death): Promise<void> {
  const random = seeded(seed);
  let left =
    death === 'between'
      ? 1 + random(3)
      : 1 + (random(6) === 0 ? random(START_CALLS) : START_CALLS + random(MOST_CALLS));
  const counts = (call: Call) =>
    death === 'call' || (death === 'between' && call.kind === 'rename' && call.to?.includes('/blobs/') === true);
  const files = interceptedFiles(async (call, go) => {
    if (!counts(call) || --left > 0) return await go();
    if (death === 'between' || random(3) === 0) await go();
    // Half of what was to be written, and no more.
    else if (call.bytes !== undefined) await go(call.bytes.length >> 1);
    return die();
  });
  const store = await openStore({ logger: quiet, files }, { path });
  let isTimed = false;
  const say = (what: LogLine, digest: string) => {
    appendFileSync(log, `${what} ${digest}\n`);
    // From the first partial on: how long the start takes is the machine's affair.
    if (death === 'time' && !isTimed) setTimeout(die, random(MOST_TIME));
    isTimed = true;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, lane) => pullForEver(store, lane, random, say)));
}

async function pullForEver(
  store: DiskStore,
  lane: number,
  random: (below: number) => number,
  say: (what: LogLine, digest: string) => void,
): Promise<never> {
  const mine = BLOBS.filter((_, number) => number % AT_ONCE === lane);
  for (;;) {
    const { bytes, digest } = mine[random(mine.length)]!;
    if (store.find(digest) !== undefined) {
      if (random(3) === 0) {
        await collect(store.read(digest, 0, bytes.length, never));
        continue;
      }
      say('removing', digest);
      await store.remove(digest);
    }
    const partial = await store.openPartial(digest, bytes.length, never);
    say('opened', digest);
    const missing = [0, 1].filter((index) => partial.sourceOf(index) === undefined);
    await bring(partial, bytes, missing);
    // Some are left for another time.
    if (random(6) === 0) await partial.close();
    else {
      await partial.commit(null);
      say('committed', digest);
    }
    say('closed', digest);
  }
}

const [, , path, log, seed, death] = process.argv;
if (import.meta.main && path !== undefined && log !== undefined) await main(path, log, Number(seed), death as Death);
