import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Digest } from '../../../protocol/digest.ts';
import { type Loss, RecordedDisk, recordedFiles, type Step } from './recorded-disk.ts';
import { assertNothingFalse, pull, trueRows } from './script.ts';
import { seeded } from './seeded.ts';
import { type Place, place } from './support.ts';

/** What the store had said when so many steps were made. */
type Said = { readonly steps: number; readonly digest: Digest; readonly what: 'committed' | 'removing' };

/** A pull, a restart, another pull. */
async function record(at: Place): Promise<{ steps: Step[]; said: Said[] }> {
  const steps: Step[] = [];
  const said: Said[] = [];
  const say = (what: Said['what']) => (digest: Digest) => said.push({ steps: steps.length, digest, what });
  for (let start = 0; start < 2; start++) {
    const store = await at.open({}, { files: recordedFiles(at.path, steps) });
    await store.inOrder;
    await pull(store, { committed: say('committed'), removing: say('removing') });
    await store.close();
  }
  return { steps, said };
}

function mixed(seed: number): Loss {
  const random = seeded(seed);
  return {
    isNamed: () => random(2) === 0,
    data: () => (['lost', 'zeroed', 'torn', 'kept'] as const)[random(4)]!,
    log: () => (['lost', 'torn', 'kept'] as const)[random(3)]!,
  };
}

const plain = (isNamed: boolean, data: ReturnType<Loss['data']>, log: ReturnType<Loss['log']>): Loss => ({
  isNamed: () => isNamed,
  data: () => data,
  log: () => log,
});

const LOSSES = new Map<string, (step: number) => Loss>([
  ['nothing but what was fsynced', () => plain(false, 'lost', 'lost')],
  ['all names and the log, no data', () => plain(true, 'lost', 'kept')],
  ['all names, zeros, a torn log', () => plain(true, 'zeroed', 'torn')],
  ['no names, torn data, the log', () => plain(false, 'torn', 'kept')],
  ['a mixture', (step) => mixed(step)],
  ['another mixture', (step) => mixed(step + 100_000)],
]);

/** What must be held after so many steps: the store had said so, and was not told to remove it since. */
function mustBeHeld(said: readonly Said[], steps: number): Set<Digest> {
  const held = new Set<Digest>();
  for (const { what, digest, steps: at } of said) {
    // The step that a commit ends with is told of with the one after it.
    if (what === 'committed' && at + 1 < steps) held.add(digest);
    if (what === 'removing') held.delete(digest);
  }
  return held;
}

test('power lost after any file call: nothing that was committed is lost, nothing false is held', async () => {
  const at = await place({ inMemory: true });
  try {
    const source = join(at.path, 'recorded');
    mkdirSync(source);
    const { steps, said } = await record({
      ...at,
      path: source,
      open: (init, rest) => at.open({ path: source, ...init }, rest),
    });
    assert.ok(said.length > 6 && steps.length > 60);
    const disk = new RecordedDisk();
    let starts = 0;
    for (const [number, step] of steps.entries()) {
      disk.apply(step);
      for (const [name, loss] of LOSSES) {
        const root = join(at.path, `${starts++}`);
        mkdirSync(root);
        disk.leave(root, loss(number));
        const when = `${name}, after ${number}: ${step.call.kind} ${step.call.path}`;
        // What nobody has looked at may be wrong, what was looked at may not.
        const store = await at.open({ path: root });
        await store.inOrder;
        // Whatever is left of a partial is usable or gone.
        if (name === 'a mixture') await pull(store);
        await store.close();
        assertNothingFalse(root, when);
        const rows = trueRows(root);
        for (const digest of mustBeHeld(said, number + 1)) assert.ok(rows.get(digest), `${digest} was lost: ${when}`);
        rmSync(root, { recursive: true });
      }
    }
    assert.equal(starts, steps.length * LOSSES.size);
  } finally {
    await at.leave();
  }
});
