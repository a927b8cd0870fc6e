import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { layoutAt } from '../../../agent/store/layout.ts';
import type { Digest } from '../../../protocol/digest.ts';
import { collect, digestOfBytes, never } from './compliance.ts';
import { type Death, LOAD, type LogLine } from './crash-load.ts';
import { assertNothingFalse } from './script.ts';
import { type Place, place } from './support.ts';

const CHILD = fileURLToPath(new URL('./crash-load.ts', import.meta.url));
const KILLS = 300;
/** Stores that are killed over, each as its last owner left it. */
const STORES = 3;
/** One kill in so many is between rename and index, and one in so many at any time. */
const BETWEEN_EVERY = 5;
const TIME_EVERY = 4;

/** Give it as CRASH_SEED to run the same again: the same calls are the last ones, as far as two pulls at once repeat. */
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

/** Where children find each other's work: to compile the agent is most of what a start costs. */
let compiled = '';

const known = LOAD.map((bytes) => digestOfBytes(bytes));
const counted = { kills: 0, partialOpen: 0, between: 0 };

/** What the agents that were killed over a store had said. */
interface Said {
  readonly held: Set<Digest>;
  readonly open: Set<Digest>;
  /** Left between rename and index. */
  between: Set<Digest>;
}

function hear(log: string, { held, open }: Said): void {
  open.clear();
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [what, digest] = line.split(' ') as [LogLine, Digest];
    if (what === 'opened') open.add(digest);
    if (what === 'closed') open.delete(digest);
    if (what === 'committed') held.add(digest);
    if (what === 'removing') held.delete(digest);
  }
}

/** @returns what ended it */
async function runChild(...args: string[]): Promise<string | null> {
  const child = spawn(process.execPath, [CHILD, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
  });
  const [, signal] = await once(child, 'exit');
  return signal;
}

/** One agent's life. */
async function killOnce(path: string, said: Said, seed: number, death: Death): Promise<void> {
  const log = `${path}.log`;
  writeFileSync(log, '');
  const signal = await runChild(path, log, `${seed}`, death);
  const when = `CRASH_SEED=${SEED}, seed ${seed}, ${death}`;
  assert.equal(signal, 'SIGKILL', when);
  counted.kills++;
  hear(log, said);
  if (said.open.size > 0) counted.partialOpen++;
  const rows = assertNothingFalse(path, when);
  for (const digest of said.held) assert.ok(rows.get(digest), `${digest} was committed and is lost: ${when}`);
  const { blob, journal } = layoutAt(path);
  const isBetween = (digest: Digest) => !rows.has(digest) && existsSync(blob(digest)) && existsSync(journal(digest));
  const between = new Set(known.filter(isBetween));
  // What was left so before, nobody has come to yet.
  if ([...between].some((digest) => !said.between.has(digest))) counted.between++;
  said.between = between;
}

async function killOver(at: Place, number: number): Promise<void> {
  const path = join(at.path, `${number}`);
  const said: Said = { held: new Set(), open: new Set(), between: new Set() };
  for (let kill = number; kill < KILLS; kill += STORES) {
    const turn = Math.floor(kill / STORES);
    const death = turn % BETWEEN_EVERY === 0 ? 'between' : turn % TIME_EVERY === 1 ? 'time' : 'call';
    await killOnce(path, said, SEED + kill, death);
  }
  // The next owner finds what was committed, and nothing that is not so.
  const store = await at.open({ path, recheck: 0 });
  await store.inOrder;
  for (const [at, digest] of known.entries()) {
    if (said.held.has(digest)) assert.notEqual(store.find(digest), undefined);
    const bytes = LOAD[at]!;
    if (store.find(digest) === undefined) continue;
    assert.ok(bytes.equals(await collect(store.read(digest, 0, bytes.length, never))));
  }
}

test('killed 300 times under load: nothing that was committed is lost, nothing false is found', async (t) => {
  t.diagnostic(`CRASH_SEED=${SEED}`);
  const at = await place({ inMemory: true });
  try {
    compiled = join(at.path, 'compiled');
    // Who is killed leaves nothing there; one that has nothing to do does.
    assert.equal(await runChild(), null);
    await Promise.all(Array.from({ length: STORES }, (_, number) => killOver(at, number)));
  } finally {
    t.diagnostic(JSON.stringify(counted));
    await at.leave();
  }
  assert.equal(counted.kills, KILLS);
  assert.ok(counted.partialOpen >= 200, `a partial was open at ${counted.partialOpen}`);
  assert.ok(counted.between >= 30, `${counted.between} were between rename and index`);
});
